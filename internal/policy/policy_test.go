package policy_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const digestA, digestB = ref.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), ref.Digest("sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")

func load(t testing.TB) *policy.Document {
	t.Helper()
	b, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(b))
}

func parse(t testing.TB, text string) *policy.Document {
	t.Helper()
	d, err := policy.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rules returns a document with one environment, "e", that has the given body.
func environment(body string) string {
	return "apiVersion: plimsoll/v1\nkind: Policy\nenvironments:\n  e:\n" + indent(body, "    ")
}

func indent(s, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+by) + "\n"
}

func component(name string) inventory.Component {
	return inventory.Component{
		Kind: inventory.OS, Type: inventory.Deb, Namespace: "debian", Name: name, Version: "1.0-1",
		Evidence: []inventory.Evidence{{Index: 0, Path: "var/lib/dpkg/status", Method: "dpkg"}},
	}
}

func facts() *policy.Facts {
	zlib := component("zlib1g")
	return &policy.Facts{
		Name: "registry.example.com/payments/api:1", GUN: "registry.example.com/payments/api", Publisher: "payments",
		Digest: digestA, Platform: "linux/amd64",
		Roles:   map[string]ref.Digest{"releases": digestA, "security": digestA},
		Signers: map[string][]string{"releases": {"sha256:01"}, "security": {"sha256:02"}}, Expires: now.Add(time.Hour),
		Inventory: &inventory.Inventory{Components: []inventory.Component{zlib}, Layers: make([]inventory.Layer, 1), Distro: inventory.Distro{ID: "debian", VersionID: "12"}},
		AsOf:      now.Add(-time.Hour),
	}
}

func found(id string, change func(*finding.Finding)) finding.Finding {
	f := finding.Finding{
		ID: id, Advisory: "DSA-1", Aliases: []string{"GHSA-1"}, Component: component("zlib1g"), Severity: advisory.Critical,
		Fixed: "1.0-2", FixedSince: now.Add(-time.Hour), Advice: "upgrade zlib1g to 1.0-2", Source: "debian:12",
	}
	if change != nil {
		change(&f)
	}
	return f
}

// outcome returns the reason of one rule.
func outcome(t testing.TB, reasons []verdict.Reason, rule string) verdict.Reason {
	t.Helper()
	for _, r := range reasons {
		if r.Rule == rule {
			return r
		}
	}
	t.Fatalf("no reason %q among %+v", rule, reasons)
	return verdict.Reason{}
}

func TestJudge(t *testing.T) {
	d := load(t)
	tests := []struct {
		name   string
		change func(*policy.Facts)
		rule   string
		want   verdict.Outcome
		class  verdict.Class
		says   string
	}{
		{"all well", nil, "signed", verdict.Allowed, "", "2 of the roles"},
		{"all well", nil, "scanned", verdict.Allowed, "", "1 components"},
		{"no findings", nil, "known-exploited", verdict.NotApplicable, "", "no finding"},
		{"one key for two roles", func(f *policy.Facts) { f.Signers["security"] = f.Signers["releases"] }, "signed", verdict.Denied, verdict.Evidence, "1 of the roles"},
		{"two roles that share one of their keys", func(f *policy.Facts) { f.Signers["releases"] = []string{"sha256:01", "sha256:02"} }, "signed", verdict.Allowed, "", "2 of the roles"},
		{"a role whose metadata is broken", func(f *policy.Facts) {
			delete(f.Roles, "security")
			f.RoleErrs = map[string]error{"security": fault.Errorf(fault.Untrusted, "security metadata expired")}
		}, "signed", verdict.Denied, verdict.Evidence, "1 of the roles"},
		{"a role that is out of reach", func(f *policy.Facts) {
			delete(f.Roles, "security")
			f.RoleErrs = map[string]error{"security": fault.Errorf(fault.Unavailable, "no answer")}
		}, "signed", verdict.Denied, verdict.Unavailable, "1 of the roles"},
		{"a role that nobody is known to have signed", func(f *policy.Facts) { f.Signers = nil }, "signed", verdict.Denied, verdict.Evidence, "0 of the roles"},
		{"one role missing", func(f *policy.Facts) { delete(f.Roles, "security") }, "signed", verdict.Denied, verdict.Evidence, "1 of the roles"},
		{"another digest", func(f *policy.Facts) { f.Digest = digestB }, "signed", verdict.Denied, verdict.Evidence, "not what was signed"},
		{"a role that is not asked for", func(f *policy.Facts) { f.Roles = map[string]ref.Digest{"other": digestA, "releases": digestA} }, "signed", verdict.Denied, verdict.Evidence, "1 of"},
		{"expired", func(f *policy.Facts) { f.Expires = now }, "signed", verdict.Denied, verdict.Evidence, "expired"},
		{"nobody's repository", func(f *policy.Facts) { f.Publisher = "" }, "signed", verdict.Denied, verdict.Evidence, "no publisher"},
		{"no trust data", func(f *policy.Facts) { f.SignedErr = fault.Errorf(fault.NotFound, "nobody signed it") }, "signed", verdict.Denied, verdict.Evidence, "nobody signed"},
		{"registry down", func(f *policy.Facts) { f.SignedErr = fault.Errorf(fault.Unavailable, "no route") }, "signed", verdict.Denied, verdict.Unavailable, "no route"},
		{"scan failed", func(f *policy.Facts) { f.ScanErr, f.Inventory = fault.Errorf(fault.Unavailable, "cut"), nil }, "unknown-arch", verdict.Denied, verdict.Unavailable, "not judged"},
		{"never scanned", func(f *policy.Facts) { f.Inventory = nil }, "scanned", verdict.Denied, verdict.Evidence, "not scanned"},
		{"never scanned", func(f *policy.Facts) { f.Inventory = nil }, "known-exploited", verdict.Denied, verdict.Evidence, "not judged"},
		{"unreadable", func(f *policy.Facts) {
			f.Inventory.Unreadable = []inventory.Unreadable{{Path: "a.zip", Reason: "too deep"}}
		}, "scanned", verdict.Denied, verdict.Evidence, "1 part of"},
		{"no advisories", func(f *policy.Facts) { f.MatchErr = fault.Errorf(fault.NotFound, "no pack") }, "fixable-critical", verdict.Denied, verdict.Evidence, "not judged"},
		{"old advisories", func(f *policy.Facts) { f.AsOf = now.Add(-49 * time.Hour) }, "scanned", verdict.Denied, verdict.Evidence, "2d1h old"},
		{"advisories of no age", func(f *policy.Facts) { f.AsOf = time.Time{} }, "scanned", verdict.Denied, verdict.Evidence, "nobody knows"},
		{"advisories of tomorrow", func(f *policy.Facts) { f.AsOf = now.Add(24 * time.Hour) }, "scanned", verdict.Denied, verdict.Evidence, "future"},
		{"exploited", add(found("CVE-1", func(f *finding.Finding) { f.Exploited = true })), "known-exploited", verdict.Denied, verdict.Rule, "CVE-1 is being exploited in the wild"},
		{"fresh fix", add(found("CVE-1", nil)), "fixable-critical", verdict.Allowed, "", "none denied"},
		{"fix of long ago", add(found("CVE-1", func(f *finding.Finding) { f.FixedSince = now.Add(-73 * time.Hour) })), "fixable-critical", verdict.Denied, verdict.Rule, "three days"},
		{"fix of unknown date", add(found("CVE-1", func(f *finding.Finding) { f.FixedSince = time.Time{} })), "fixable-critical", verdict.Denied, verdict.Rule, "three days"},
		{"no fix", add(found("CVE-1", func(f *finding.Finding) { f.Fixed, f.FixedSince = "", time.Time{} })), "fixable-critical", verdict.Allowed, "", "none denied"},
		{"local", func(f *policy.Facts) { f.Local, f.GUN, f.Publisher = true, "", "" }, "local", verdict.Denied, verdict.Rule, "no registry"},
		{"local", func(f *policy.Facts) { f.Local, f.GUN, f.Publisher = true, "", "" }, "signed", verdict.NotApplicable, "", "nobody can sign"},
		{"component", func(f *policy.Facts) { f.Inventory.Components[0].Arch = "riscv64" }, "unknown-arch", verdict.Denied, verdict.Rule, "component.arch"},
		{"image", func(f *policy.Facts) { f.Inventory.Distro.VersionID = "10" }, "old-distro", verdict.Denied, verdict.Rule, "Debian 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name+"/"+tt.rule, func(t *testing.T) {
			f := facts()
			if tt.change != nil {
				tt.change(f)
			}
			got := outcome(t, d.Judge(t.Context(), now, "production", f), tt.rule)
			if got.Outcome != tt.want || got.Class != tt.class || !strings.Contains(got.Message, tt.says) {
				t.Errorf("got %+v, want %s %s %q", got, tt.want, tt.class, tt.says)
			}
		})
	}
}

func add(fs ...finding.Finding) func(*policy.Facts) {
	return func(f *policy.Facts) { f.Findings = fs }
}

func TestUnknownEnvironmentDenies(t *testing.T) {
	for _, name := range []string{"", "prod"} {
		reasons := load(t).Judge(t.Context(), now, name, facts())
		if len(reasons) != 1 || reasons[0].Outcome != verdict.Denied {
			t.Errorf("%q: %+v", name, reasons)
		}
	}
}

func TestExceptions(t *testing.T) {
	d := load(t)
	exploited := func(id string) finding.Finding {
		return found(id, func(f *finding.Finding) { f.Exploited = true })
	}
	tests := []struct {
		name   string
		change func(*policy.Facts)
		want   verdict.Outcome
		line   string
	}{
		{"covered", add(exploited("CVE-2026-1234")), verdict.Excepted, "excepted until 2026-12-31 by alice"},
		{"covered by alias", add(found("GHSA-x", func(f *finding.Finding) { f.Exploited, f.Aliases = true, []string{"CVE-2026-1234"} })), verdict.Excepted, "alice"},
		{"another finding", add(exploited("CVE-2026-9")), verdict.Denied, "CVE-2026-9"},
		{"another component", add(found("CVE-2026-1234", func(f *finding.Finding) { f.Exploited, f.Component.Name = true, "zlib1g-dev" })), verdict.Denied, "zlib1g-dev"},
		{"expired", add(exploited("CVE-2025-1")), verdict.Denied, "the exception by bob expired on 2026-11-22"},
		{"one of two", add(exploited("CVE-2026-1234"), exploited("CVE-2026-9")), verdict.Denied, "excepted until"},
		{"another repository", func(f *policy.Facts) {
			f.GUN, f.Findings = "registry.example.com/elsewhere", []finding.Finding{exploited("CVE-2026-1234")}
		}, verdict.Denied, "CVE-2026-1234"},
		{"local image", func(f *policy.Facts) { f.Local, f.Findings = true, []finding.Finding{exploited("CVE-2026-1234")} }, verdict.Denied, "CVE-2026-1234"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := facts()
			tt.change(f)
			got := outcome(t, d.Judge(t.Context(), now, "production", f), "known-exploited")
			if got.Outcome != tt.want || !strings.Contains(strings.Join(got.Evidence, "\n"), tt.line) {
				t.Errorf("got %+v, want %s with %q", got, tt.want, tt.line)
			}
		})
	}
}

func TestExceptionHoldsThroughItsLastDay(t *testing.T) {
	d := load(t)
	f := facts()
	f.Findings = []finding.Finding{found("CVE-2026-1234", func(f *finding.Finding) { f.Exploited = true })}
	for at, want := range map[string]verdict.Outcome{"2026-12-31T23:59:59Z": verdict.Excepted, "2027-01-01T00:00:00Z": verdict.Denied} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome(t, d.Judge(t.Context(), when, "production", f), "known-exploited"); got.Outcome != want {
			t.Errorf("%s: %+v", at, got)
		}
	}
}

func TestNeeds(t *testing.T) {
	tests := []struct {
		body  string
		local bool
		want  policy.Needs
	}{
		{"signed: {roles: [targets]}", false, policy.Needs{Signatures: true}},
		{"signed: {roles: [targets]}", true, policy.Needs{}},
		{"scanned: {advisoriesWithin: 2d}", false, policy.Needs{Scan: true, Advisories: true}},
		{"rules: [{id: a, each: component, deny: component.name == 'x'}]", false, policy.Needs{Scan: true}},
		{"rules: [{id: a, each: image, deny: image.local}]", false, policy.Needs{}},
		{"rules: [{id: a, each: image, deny: image.distro != 'debian'}]", false, policy.Needs{Scan: true}},
	}
	for _, tt := range tests {
		got, ok := parse(t, environment(tt.body)).Needs("e", tt.local)
		if !ok || got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.body, got, tt.want)
		}
	}
}

func TestRuleThatFailsToEvaluateDenies(t *testing.T) {
	for name, expr := range map[string]string{
		"no such index": `finding.aliases[7] == "x"`,
		"division":      `1 / (size(finding.aliases) - 1) == 1`,
		"dyn":           `dyn(finding).nothing == 1`,
		"costly":        `[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, a+b+c+d+e > 0)))))`,
		"regexp":        `finding.id.matches("(" + finding.id)`,
	} {
		d := parse(t, environment("scanned: {advisoriesWithin: 2d}\nrules:\n- id: r\n  each: finding\n  deny: |-\n    "+expr))
		f := facts()
		f.Findings = []finding.Finding{found("CVE-1", nil)}
		start := time.Now()
		got := outcome(t, d.Judge(t.Context(), now, "e", f), "r")
		if got.Outcome != verdict.Denied || !strings.Contains(got.Message, "could not be evaluated") {
			t.Errorf("%s: %+v", name, got)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

var alice = policy.Caller{User: "alice"}

func TestAdmit(t *testing.T) {
	d := load(t)
	tests := []struct {
		team, action string
		caller       policy.Caller
		ok           bool
	}{
		{"payments", "run", alice, true},
		{"payments", "run", policy.Caller{User: "admin", Root: true}, true},
		{"payments", "run", policy.Caller{User: "root"}, false},
		{"payments", "run", policy.Caller{Certificate: "CN=alice"}, true},
		{"payments", "run", policy.Caller{Certificate: "CN=alice,O=Elsewhere"}, false},
		{"payments", "run", policy.Caller{Certificate: "alice"}, false},
		{"payments", "run", policy.Caller{User: "CN=alice"}, false},
		{"payments", "", policy.Caller{}, true},
		{"watchers", "", policy.Caller{}, false},
		{"watchers", "logs", policy.Caller{User: "bob"}, true},
		{"watchers", "copy", policy.Caller{User: "bob"}, false},
		{"payments", "run", policy.Caller{User: "mallory"}, false},
		{"payments", "run", policy.Caller{}, false},
		{"payments", "exec", alice, false},
		{"ghosts", "run", alice, false},
		{"", "run", policy.Caller{Root: true}, false},
	}
	for _, tt := range tests {
		reason, p := d.Admit(tt.team, tt.action, tt.caller)
		if (p != nil) != tt.ok || (reason.Outcome == verdict.Allowed) != tt.ok {
			t.Errorf("%+v: %+v, %+v", tt, reason, p)
		}
	}
	_, p := d.Admit("payments", "run", alice)
	if p.Memory != 1<<30 || p.Total.CPUs != 8 || p.Network.Mode != "bridge" || !p.Mounts[0].Writable || p.Runtime != "runc" {
		t.Errorf("profile %+v", p)
	}
}

func TestTeamsOf(t *testing.T) {
	d := load(t)
	for _, tt := range []struct {
		caller policy.Caller
		want   string
	}{
		{alice, "payments"},
		{policy.Caller{User: "bob"}, "watchers"},
		{policy.Caller{User: "bob", Certificate: "CN=alice"}, "payments watchers"},
		{policy.Caller{Root: true}, "payments watchers"},
		{policy.Caller{}, ""},
		{policy.Caller{User: "mallory"}, ""},
	} {
		if got := strings.Join(d.TeamsOf(tt.caller), " "); got != tt.want {
			t.Errorf("%+v: teams %q, want %q", tt.caller, got, tt.want)
		}
	}
}

func TestWithoutATeam(t *testing.T) {
	for text, want := range map[string]bool{"": false, "host: {unattributed: deny}": false, "host: {unattributed: minimal}": true} {
		d := parse(t, head+text)
		reason, p := d.AdmitUnattributed()
		if (reason.Outcome == verdict.Allowed) != want || (p != nil) != want {
			t.Errorf("%q: %+v, %+v", text, reason, p)
		}
		if p != nil && (p.Validate() != nil || p.Network.Mode != "none" || len(p.Capabilities)+len(p.Mounts)+len(p.Devices) > 0 || p.SetuidFiles) {
			t.Errorf("the minimal profile is %+v", p)
		}
	}
}

func TestKeep(t *testing.T) {
	for text, want := range map[string]time.Duration{"{}": 0, "{whenUnreachable: deny}": 0, "{whenUnreachable: keep 24h}": 24 * time.Hour, "{whenUnreachable: keep 1d12h}": 36 * time.Hour} {
		if d := parse(t, head+"host: "+text); d.Host.WhenUnreachable.Keep != want {
			t.Errorf("%s keeps %v, want %v", text, d.Host.WhenUnreachable.Keep, want)
		}
	}
}

func TestBuildsAndLocal(t *testing.T) {
	d := parse(t, environment("signed: {roles: [a]}\nbuilds: {from: allowed}\nlocal: allow")+"  f: {signed: {roles: [a]}}\n")
	for _, tt := range []struct {
		environment   string
		builds, local bool
	}{{"e", true, true}, {"f", false, false}, {"g", false, false}} {
		if b, l := d.JudgeBuild(tt.environment), d.JudgeLocal(tt.environment); (b.Outcome == verdict.Allowed) != tt.builds || (l.Outcome == verdict.Allowed) != tt.local {
			t.Errorf("%s: builds %+v, local %+v", tt.environment, b, l)
		}
	}
}

func TestUntil(t *testing.T) {
	d := parse(t, environment(`signed: {roles: [a]}
scanned: {advisoriesWithin: 48h}
exceptions: [{finding: CVE-1, component: 'pkg:deb/debian/a', repositories: ['**'], until: 2026-11-23, reason: r, owner: o}]`)+"  f: {signed: {roles: [a]}}\n")
	evening := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, environment string
		change            func(*policy.Facts)
		want              time.Time
	}{
		{"signatures first", "e", nil, now.Add(time.Hour)},
		{"then the exception", "e", func(f *policy.Facts) { f.Expires = now.AddDate(1, 0, 0) }, evening},
		{"advisories", "e", func(f *policy.Facts) { f.Expires, f.AsOf = time.Time{}, now.Add(-47*time.Hour-30*time.Minute) }, now.Add(30 * time.Minute)},
		{"signatures that do not end", "f", func(f *policy.Facts) { f.Expires = time.Time{} }, time.Time{}},
		{"no such place", "g", nil, time.Time{}},
	} {
		f := facts()
		if tt.change != nil {
			tt.change(f)
		}
		if got := d.Until(tt.environment, now, f); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPlace(t *testing.T) {
	d := load(t)
	tests := []struct {
		asked, action, want string
		denied              bool
	}{
		{"", "run", "production", false},
		{"production", "run", "production", false},
		{"test", "run", "test", true},
		{"test", "", "test", false},
		{"", "", "production", false},
	}
	for _, tt := range tests {
		got, denial := d.Place(tt.asked, tt.action)
		if got != tt.want || (denial != nil) != tt.denied {
			t.Errorf("%+v: %q, %+v", tt, got, denial)
		}
	}
}

func TestPublisher(t *testing.T) {
	d := load(t)
	for image, want := range map[string]string{
		"registry.example.com/payments/api:1":                    "payments registry.example.com/payments/api",
		"mirror.example.net/payments/api:1":                      "payments registry.example.com/payments/api",
		"registry.example.com/payments/vault/x:1":                "vault registry.example.com/payments/vault/x",
		"registry.example.com/payments-evil/api:1":               " registry.example.com/payments-evil/api",
		"mirror.example.net/payments/vault/x@" + string(digestA): "vault registry.example.com/payments/vault/x",
	} {
		r, err := ref.Parse(image)
		if err != nil {
			t.Fatal(err)
		}
		if name, _, gun := d.Publisher(r); name+" "+string(gun) != want {
			t.Errorf("%s: %q %q, want %q", image, name, gun, want)
		}
	}
}

func TestExplain(t *testing.T) {
	text := strings.Join(load(t).Explain("production", now), "\n")
	for _, want := range []string{"2 of the roles releases, security", "registry named are denied", "older than 2d0h", "Rule known-exploited", "severity.unknown", "EXPIRED on 2026-11-22"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
