package match_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
	"plimsoll/internal/match"
	"plimsoll/internal/pack"
)

var bookworm = inventory.Distro{ID: "debian", VersionID: "12"}

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// parse makes records of "ID[=alias…] ecosystem name introduced fixed", "-" for
// no fix.
func parse(t *testing.T, lines string) []*advisory.Record {
	t.Helper()
	var records []*advisory.Record
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		names := strings.Split(f[0], "=")
		r := &advisory.Record{ID: names[0], Aliases: names[1:]}
		a := advisory.Affected{Package: advisory.Package{Ecosystem: advisory.Ecosystem(f[1]), Name: f[2]}}
		if len(f) > 3 {
			events := []advisory.Event{{Introduced: f[3]}}
			if f[4] != "-" {
				events = append(events, advisory.Event{Fixed: f[4]})
			}
			a.Ranges = []advisory.Range{{Type: advisory.ByEcosystem, Events: events}}
		}
		r.Affected = []advisory.Affected{a}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// matcher returns one over real packs of the records.
func matcher(t *testing.T, records []*advisory.Record) *match.Matcher {
	t.Helper()
	b, dir := new(pack.Builder), t.TempDir()
	dates := map[advisory.Ecosystem]string{advisory.PyPI: "2024-10-10", advisory.Exploited: "2025-08-25", advisory.Severities: "2023-01-01"}
	for _, r := range records {
		asOf := day("2026-08-21")
		if s, ok := dates[r.Affected[0].Package.Ecosystem]; ok {
			asOf = day(s)
		}
		if _, err := b.Add(pack.Source{Name: "made", AsOf: asOf}, r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pack.Build(t.Context(), dir, b); err != nil {
		t.Fatal(err)
	}
	s, err := pack.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return match.New(s)
}

const known = `
	CVE-2026-1 Debian:12 openssl 0 3.0.22-1~deb12u1
	CVE-2026-2 Debian:12 openssl 0 -
	GO-1=CVE-2025-1=GHSA-1 Go golang.org/x/net 0 0.38.0
	GO-2=CVE-2025-2 Go stdlib 1.22.0-0 1.22.7
	GO-3 Go example.com/app 0 1.2.0
	GHSA-2=CVE-2025-3 npm @scope/lib 0 2.0.0
	PYSEC-1=CVE-2025-4 PyPI jinja2 0 3.1.4
	GHSA-3=CVE-2025-4 PyPI jinja2 0 3.1.5
	GHSA-4=CVE-2025-5 PyPI jinja2 0 3.1.3
	RUSTSEC-1 crates.io smallvec 0 1.6.1
	CVE-2025-4 kev CVE-2025-4
`

func deb(name, version, source, sourceVersion string) inventory.Component {
	return inventory.Component{Kind: inventory.OS, Type: inventory.Deb, Namespace: "debian", Name: name, Version: version, SourceName: source, SourceVersion: sourceVersion}
}

func lib(kind inventory.Type, namespace, name, version string) inventory.Component {
	return inventory.Component{Kind: inventory.Library, Type: kind, Namespace: namespace, Name: name, Version: version}
}

func owned(c inventory.Component) inventory.Component {
	c.Owner = "pkg:deb/debian/python3-jinja2"
	return c
}

func application(name, version string) inventory.Component {
	return inventory.Component{Kind: inventory.Application, Type: inventory.Golang, Namespace: "example.com", Name: name, Version: version}
}

// TestMatch looks at one component at a time; a finding is written as
// "ID installed → fixed".
func TestMatch(t *testing.T) {
	m := matcher(t, parse(t, known))
	tests := []struct {
		name      string
		component inventory.Component
		want      []string
	}{
		{"by source and its version", deb("libssl3", "3.0.20-1~deb12u2+b1", "openssl", "3.0.20-1~deb12u2"), []string{"CVE-2026-2 → ", "CVE-2026-1 → 3.0.22-1~deb12u1"}},
		{"source of the same name", deb("openssl", "3.0.22-1~deb12u1", "", ""), []string{"CVE-2026-2 → "}},
		{"binary of another source", deb("openssl", "1", "openssl-other", "1"), nil},
		{"module", lib("golang", "golang.org/x", "net", "v0.37.0"), []string{"CVE-2025-1 → v0.38.0"}},
		{"module, fixed", lib("golang", "golang.org/x", "net", "v0.38.0"), nil},
		{"module, between versions", lib("golang", "golang.org/x", "net", "v0.38.0-0.20250101000000-abcdefabcdef"), []string{"CVE-2025-1 → v0.38.0"}},
		{"standard library", lib("golang", "", "stdlib", "1.22.6"), []string{"CVE-2025-2 → 1.22.7"}},
		{"standard library as Go writes it", lib("golang", "", "stdlib", "go1.22"), []string{"CVE-2025-2 → 1.22.7"}},
		{"standard library, candidate", lib("golang", "", "stdlib", "1.22rc2"), []string{"CVE-2025-2 → 1.22.7"}},
		{"standard library, distributor's", lib("golang", "", "stdlib", "1.22.7-fips"), nil},
		{"standard library, of no version", lib("golang", "", "stdlib", ""), []string{"CVE-2025-2 → "}},
		{"standard library, of no release", lib("golang", "", "stdlib", "devel go1.27-3f2a1b"), []string{"CVE-2025-2 → "}},
		{"main module", application("app", "v1.1.0"), []string{"GO-3 → v1.2.0"}},
		{"main module, no version", application("app", ""), nil},
		{"main module, (devel)", application("app", "(devel)"), nil},
		{"main module, a date only", application("app", "v0.0.0-20250101000000-abcdefabcdef+dirty"), nil},
		{"main module, a commit after a version", application("app", "v1.1.1-0.20250101000000-abcdefabcdef"), []string{"GO-3 → v1.2.0"}},
		{"npm with a scope", lib("npm", "@scope", "lib", "1.9.0"), []string{"CVE-2025-3 → 2.0.0"}},
		{"npm of the same name without", lib("npm", "", "lib", "1.9.0"), nil},
		{"one hole of two databases", lib("pypi", "", "Jinja2", "3.1.3"), []string{"CVE-2025-4 → 3.1.5"}},
		{"two holes", lib("pypi", "", "Jinja2", "3.1.2"), []string{"CVE-2025-4 → 3.1.5", "CVE-2025-5 → 3.1.3"}},
		{"owned by a distribution's package", owned(lib("pypi", "", "jinja2", "3.1.2")), nil},
		{"version that cannot be compared", lib("pypi", "", "jinja2", "nightly"), []string{"CVE-2025-4 → ", "CVE-2025-5 → "}},
		{"crate", lib("cargo", "", "smallvec", "1.6.0"), []string{"RUSTSEC-1 → 1.6.1"}},
		{"recognised by content", lib("generic", "", "openssl", "3.0.0"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inv := &inventory.Inventory{Distro: bookworm, Components: []inventory.Component{tt.component}}
			findings, _, err := m.Match(t.Context(), inv)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.ID+" → "+f.Fixed)
				if f.Exploited != (f.ID == "CVE-2025-4") {
					t.Errorf("%s: exploited %v", f.ID, f.Exploited)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMatchAsOf(t *testing.T) {
	m := matcher(t, parse(t, known))
	tests := []struct {
		name string
		of   inventory.Component
		want time.Time
	}{
		{"nothing asked", lib("generic", "", "a", "1"), time.Time{}},
		{"asked, nothing found", deb("bash", "1", "", ""), day("2026-08-21")},
		{"oldest of two, severities aside", deb("openssl", "3.0.0", "", ""), day("2025-08-25")},
		{"oldest", lib("pypi", "", "jinja2", "3.0"), day("2024-10-10")},
	}
	for _, tt := range tests {
		inv := &inventory.Inventory{Distro: bookworm, Components: []inventory.Component{tt.of}}
		if _, got, err := m.Match(t.Context(), inv); err != nil || !got.Equal(tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

// TestUncoveredIsNotSilence: what no pack covers is an error beside the findings
// that are known.
// TestCopiedOutOfADistribution: native code that carries a distribution's
// version is judged by that distribution's advisories, whatever the image is.
func TestCopiedOutOfADistribution(t *testing.T) {
	copied := func(namespace, source, version string) inventory.Component {
		return inventory.Component{Kind: inventory.Native, Type: inventory.Deb, Namespace: namespace, Name: "tool", Version: version, SourceName: source, SourceVersion: version, Relation: inventory.Contains}
	}
	m := matcher(t, parse(t, "DSA-1=CVE-2026-1 Debian:12 curl 0 7.88.1-10+deb12u16\nDSA-2=CVE-2026-2 Debian:11 curl 0 7.74.0-1.3+deb11u20\nUSN-1=CVE-2026-3 Ubuntu:22.04 curl 0 7.81.0-1ubuntu1.20\nCVE-2000-1 kev CVE-2000-1 0 -"))
	alpine := inventory.Distro{ID: "alpine", VersionID: "3.19.1"}
	linked := copied("debian", "curl", "7.88.1-10+deb12u15")
	linked.Relation = inventory.Links
	for _, tt := range []struct {
		name      string
		component inventory.Component
		distro    inventory.Distro
		want      string // or the ecosystem that is missing, quoted
	}{
		{"Debian's, in another image", copied("debian", "curl", "7.88.1-10+deb12u15"), alpine, "CVE-2026-1"},
		{"mended", copied("debian", "curl", "7.88.1-10+deb12u16"), alpine, ""},
		{"an older release", copied("debian", "curl", "7.74.0-1.3+deb11u2"), bookworm, "CVE-2026-2"},
		{"no release in the version, in its own image", copied("debian", "curl", "7.88.1-10"), bookworm, "CVE-2026-1"},
		{"no release in the version, elsewhere", copied("debian", "curl", "7.88.1-10"), alpine, `"debian of an unknown release"`},
		{"a release without a pack", copied("debian", "curl", "8.14.1-2+deb13u2"), alpine, `"Debian:13"`},
		{"loaded from elsewhere", linked, alpine, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			findings, _, err := m.Match(t.Context(), &inventory.Inventory{Distro: tt.distro, Components: []inventory.Component{tt.component}})
			got := ""
			if len(findings) > 0 {
				got = findings[0].ID
			}
			if strings.HasPrefix(tt.want, `"`) {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want one that names %s", err, tt.want)
				}
			} else if err != nil || got != tt.want {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestUncoveredIsNotSilence(t *testing.T) {
	net := lib("golang", "golang.org/x", "net", "v0.37.0")
	tests := []struct {
		name  string
		inv   inventory.Inventory
		names string
	}{
		{"release without a pack", inventory.Inventory{Distro: inventory.Distro{ID: "debian", VersionID: "11"}, Components: []inventory.Component{deb("bash", "1", "", ""), net}}, `"Debian:11"`},
		{"another distribution", inventory.Inventory{Distro: inventory.Distro{ID: "ubuntu", VersionID: "22.04"}, Components: []inventory.Component{deb("bash", "1", "", ""), net}}, `"Ubuntu:22.04"`},
		{"Alpine", inventory.Inventory{Distro: inventory.Distro{ID: "alpine", VersionID: "3.19.1"}, Components: []inventory.Component{lib("apk", "alpine", "musl", "1.2.4-r2"), net}}, `"Alpine:v3.19"`},
		{"no name", inventory.Inventory{Components: []inventory.Component{deb("bash", "1", "", ""), net}}, `"a distribution that does not say its name"`},
		{"os-release of another distribution", inventory.Inventory{Distro: inventory.Distro{ID: "almalinux", VersionID: "9"}, Components: []inventory.Component{deb("bash", "1", "", ""), net}}, `"deb packages in AlmaLinux:9"`},
		{"unknown ecosystem", inventory.Inventory{Components: []inventory.Component{lib("hex", "", "plug", "1.0"), net}}, `"Hex"`},
	}
	m := matcher(t, parse(t, known))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings, _, err := m.Match(t.Context(), &tt.inv)
			if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("error %v; want an untrusted one that names %s", err, tt.names)
			}
			if len(findings) != 1 || findings[0].ID != "CVE-2025-1" {
				t.Errorf("findings %v; want the one that is known", findings)
			}
		})
	}
	t.Run("no catalogue of exploited holes", func(t *testing.T) {
		m := matcher(t, parse(t, "GO-1=CVE-2025-1 Go golang.org/x/net 0 0.38.0"))
		findings, _, err := m.Match(t.Context(), &inventory.Inventory{Components: []inventory.Component{net}})
		if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), `"kev"`) || len(findings) != 1 {
			t.Errorf("%v, %v", findings, err)
		}
	})
}

func TestFinding(t *testing.T) {
	records := parse(t, known)
	for _, r := range records {
		if r.ID == "GHSA-3" {
			r.Published, r.Summary = day("2025-02-01"), "Sandbox escape"
			r.Database = advisory.Specific{Severity: "MODERATE", URL: "https://example.com/GHSA-3"}
		}
	}
	records = append(records, &advisory.Record{
		ID: "CVE-2025-1", Summary: "Rapid reset", Severity: []advisory.Vector{{Type: "CVSS_V3", Score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}},
		Affected: []advisory.Affected{{Package: advisory.Package{Ecosystem: advisory.Severities, Name: "CVE-2025-1"}}},
	})
	jinja, net := lib("pypi", "", "Jinja2", "3.1.3"), lib("golang", "golang.org/x", "net", "v0.37.0")
	got, _, err := matcher(t, records).Match(t.Context(), &inventory.Inventory{Components: []inventory.Component{jinja, net}})
	if err != nil {
		t.Fatal(err)
	}
	want := []finding.Finding{{
		ID: "CVE-2025-1", Advisory: "GO-1", Aliases: []string{"GHSA-1", "GO-1"}, Component: net,
		Severity: advisory.High, Score: 7.5, Fixed: "v0.38.0", Summary: "Rapid reset", Source: "Go",
		Advice: "rebuild with golang.org/x/net v0.38.0 or later",
	}, {
		ID: "CVE-2025-4", Advisory: "GHSA-3", Aliases: []string{"GHSA-3", "PYSEC-1"}, Component: jinja,
		Severity: advisory.Medium, Fixed: "3.1.5", FixedSince: day("2025-02-01"), Exploited: true, Summary: "Sandbox escape", Source: "PyPI",
		URL: "https://example.com/GHSA-3", Advice: "pip: bump jinja2 to 3.1.5: pip install 'jinja2>=3.1.5'",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestAdvice(t *testing.T) {
	noFix := parse(t, "CVE-2026-3 Debian:12 perl 0 -")[0]
	noFix.Database.Note = "Debian will not fix it in this release"
	m := matcher(t, append(parse(t, known+"\nCVE-2026-4 kev CVE-2026-4\nGHSA-9=CVE-2025-9 npm $(reboot) 0 2.0.0"), noFix))
	tests := []struct {
		components []inventory.Component
		want       string // advice of the last finding
	}{
		{[]inventory.Component{deb("openssl", "3.0.20-1", "", ""), deb("libssl3", "3.0.20-1", "openssl", "")}, "upgrade openssl to 3.0.22-1~deb12u1: apt-get install --only-upgrade libssl3 openssl"},
		{[]inventory.Component{deb("openssl; reboot", "3.0.20-1", "openssl", "")}, "upgrade openssl to 3.0.22-1~deb12u1"},
		{[]inventory.Component{deb("--reboot", "3.0.20-1", "openssl", "")}, "upgrade openssl to 3.0.22-1~deb12u1"},
		{[]inventory.Component{lib("npm", "", "$(reboot)", "1.0.0")}, "npm: bump $(reboot) to 2.0.0"},
		{[]inventory.Component{lib("npm", "@scope", "lib", "1.0.0")}, "npm: bump @scope/lib to 2.0.0: npm install @scope/lib@2.0.0"},
		{[]inventory.Component{deb("perl", "5", "", "")}, "no fix yet: Debian will not fix it in this release"},
		{[]inventory.Component{lib("golang", "", "stdlib", "1.22.6")}, "rebuild with Go 1.22.7 or later"},
		{[]inventory.Component{application("app", "v1.0.0")}, "upgrade example.com/app to v1.2.0 or later"},
		{[]inventory.Component{lib("cargo", "", "smallvec", "1.0.0")}, "upgrade smallvec to 1.6.1"},
	}
	for _, tt := range tests {
		findings, _, err := m.Match(t.Context(), &inventory.Inventory{Distro: bookworm, Components: tt.components})
		if err != nil || len(findings) == 0 {
			t.Fatalf("%v: %v, %v", tt.components, findings, err)
		}
		if got := findings[len(findings)-1].Advice; got != tt.want {
			t.Errorf("advice %q, want %q", got, tt.want)
		}
	}
}

// TestAdviceNamesTheUpgradeThatEndsAll: a step on the way would have to be
// followed by another.
func TestAdviceNamesTheUpgradeThatEndsAll(t *testing.T) {
	m := matcher(t, parse(t, "CVE-2026-1 Debian:12 nginx 0 1.22.1-9+deb12u10\nCVE-2026-2 Debian:12 nginx 0 1.22.1-9+deb12u11\nCVE-2026-3 kev CVE-2026-3"))
	findings, _, err := m.Match(t.Context(), &inventory.Inventory{Distro: bookworm, Components: []inventory.Component{deb("nginx", "1.22.1-9+deb12u9", "", "")}})
	if err != nil || len(findings) != 2 {
		t.Fatalf("Match: %v, %v", findings, err)
	}
	for _, f := range findings {
		if want := "upgrade nginx to 1.22.1-9+deb12u11: apt-get install --only-upgrade nginx"; f.Advice != want {
			t.Errorf("%s: advice %q, want %q", f.ID, f.Advice, want)
		}
	}
	if findings[0].Fixed == findings[1].Fixed {
		t.Errorf("each finding keeps its own fixed version: %v", findings)
	}
}

func ExampleDistribution() {
	fmt.Println(match.Distribution(inventory.Distro{ID: "debian", VersionID: "12"}))
	fmt.Println(match.Distribution(inventory.Distro{ID: "alpine", VersionID: "3.19.1"}))
	// Output:
	// Debian:12
	// Alpine:v3.19
}
