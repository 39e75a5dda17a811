package policy_test

import (
	"os"
	"strings"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
)

const head = "apiVersion: plimsoll/v1\nkind: Policy\n"

const publisher = `publishers:
  a:
    repositories: ["registry.example.com/a/**"]
    rootKeys: {threshold: 1, keys: ["sha256:9c41000000000000000000000000000000000000000000000000000000000000"]}
`

const team = `teams:
  t:
    may: [run]
    profile:
      cpus: 1
      memory: 64MiB
      pids: 10
`

func TestMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"only a comment", "# nothing", "is empty"},
		{"a list", "- a", "policy.yaml:1:1: want fields, got a list"},
		{"unknown field", head + "rules: []", `policy.yaml:3:1: rules: unknown field; known here: apiVersion, environments, host, kind, publishers, teams`},
		{"twice", head + "kind: Policy", "policy.yaml:3:1: "},
		{"wrong version", "apiVersion: plimsoll/v2\nkind: Policy", `policy.yaml:1:13: apiVersion: must be "plimsoll/v1"`},
		{"no kind", "apiVersion: plimsoll/v1", `kind: must be "Policy"`},
		{"two documents", head + "---\n" + head, "one YAML document"},
		{"anchor", head + "host: &a {environment: x}", "policy.yaml:3:7: anchors"},
		{"alias", head + "host: *a", "policy.yaml:3:7: anchors"},
		{"merge key", head + "host:\n  <<: {environment: x}", "policy.yaml:4:3: anchors"},
		{"tag", head + "host: !!map {environment: x}", "policy.yaml:3:7: anchors"},
		{"directive", "%YAML 1.2\n---\n" + head, "anchors, aliases, merge keys, tags and directives"},
		{"syntax", head + "host: {environment: x", "policy.yaml:3:"},
		{"null", head + "host:", "policy.yaml:3:"},
		{"list for fields", head + "host: [a]", "policy.yaml:3:7: host: want fields, got a list"},
		{"fields for text", head + "host: {environment: {a: b}}", "host.environment: want text, got fields"},
		{"number for text", head + "host: {environment: 7}", "host.environment: want text, got a number (put it in quotes"},
		{"brackets", head + "host: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "more than 64 brackets"},
		{"dashes", head + "host:\n  " + strings.Repeat("- ", 500) + "x", "indented by more than"},
		{"too large", head + "#" + strings.Repeat("x", 1<<20), "larger than 1048576 bytes"},

		{"name", head + "environments: {Production: {signed: {roles: [a]}}}", "environments.Production: a name is made of lower-case"},
		{"demands nothing", environment("local: deny"), "environments.e: demands nothing"},
		{"local", environment("local: maybe\nsigned: {roles: [a]}"), `environments.e.local: want deny or allow, got "maybe"`},
		{"no roles", environment("signed: {threshold: 1}"), "environments.e.signed.roles: name the roles"},
		{"threshold 0", environment("signed: {roles: [a], threshold: 0}"), "environments.e.signed.threshold: must be between 1 and the number of roles, 1"},
		{"threshold over", environment("signed: {roles: [a], threshold: 2}"), "must be between 1 and the number of roles"},
		{"role twice", environment("signed: {roles: [a, a], threshold: 2}"), "environments.e.signed.roles[1]: is empty or stands twice"},
		{"no age", environment("scanned: {}"), "scanned.advisoriesWithin: say how old"},
		{"duration", environment("scanned: {advisoriesWithin: 2 days}"), `scanned.advisoriesWithin: "2 days" is no duration`},
		{"long duration", environment("scanned: {advisoriesWithin: 99999999d}"), "longer than ten years"},

		{"rule without id", environment("rules: [{each: image, deny: image.local}]"), "environments.e.rules[0].id: a rule needs an id"},
		{"reserved id", environment("rules: [{id: signed, each: image, deny: image.local}]"), `"signed" is the name of a demand`},
		{"id twice", environment("rules: [{id: a, each: image, deny: image.local}, {id: a, each: image, deny: image.local}]"), `rules[1].id: "a" is the id of an earlier rule`},
		{"each", environment("rules: [{id: a, each: layer, deny: 'true'}]"), "rules[0].each: rule \"a\": want finding, component or image"},
		{"findings of any age", environment("rules: [{id: a, each: finding, deny: finding.exploited}]"), "say in scanned.advisoriesWithin"},
		{"no deny", environment("rules: [{id: a, each: image}]"), "rules[0].deny: rule \"a\": line 1"},
		{"CEL syntax", environment("rules: [{id: a, each: image, deny: 'image.local &&'}]"), "rules[0].deny: rule \"a\": line 1, character 15 of the expression: Syntax error"},
		{"CEL field", environment("rules: [{id: a, each: image, deny: image.locl}]"), "character 6 of the expression: undefined field 'locl'"},
		{"CEL variable", environment("rules: [{id: a, each: image, deny: finding.exploited}]"), "undeclared reference to 'finding'"},
		{"CEL type", environment("rules: [{id: a, each: image, deny: image.name}]"), "gives string, want bool"},
		{"CEL types", environment("rules: [{id: a, each: component, deny: component.name > 3}]"), "no matching overload"},
		{"CEL message type", environment("rules: [{id: a, each: image, deny: image.local, messageExpression: image.local}]"), "messageExpression: rule \"a\": gives bool, want string"},
		{"CEL map macro", environment("rules: [{id: a, each: image, deny: '[1].map(x, x) == [1]'}]"), "undeclared reference"},
		{"CEL regexp", environment("rules: [{id: a, each: image, deny: 'image.name.matches(\"(\")'}]"), "rules[0].deny"},
		{"CEL long", environment("rules: [{id: a, each: image, deny: '" + strings.Repeat("true && ", 600) + "true'}]"), "longer than 4096 bytes"},
		{"CEL deep", environment("rules: [{id: a, each: image, deny: '" + strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500) + "'}]"), "rules[0].deny"},
		{"unknown kind", environment("rules: [{id: a, each: component, deny: component.kind == 'unknown-program'}]"), `no component has the kind "unknown-program"`},
		{"unknown kind, turned", environment("rules: [{id: a, each: component, deny: '\"x\" != component.kind'}]"), `no component has the kind "x"`},
		{"unknown kind in a list", environment("rules: [{id: a, each: component, deny: 'component.kind in [\"os\", \"x\"]'}]"), `no component has the kind "x"`},
		{"kind by prefix", environment("rules: [{id: a, each: component, deny: component.kind.startsWith('unknown')}]"), "component.kind can only be compared"},
		{"kind by macro", environment("rules: [{id: a, each: component, deny: '[\"x\"].exists(k, k == component.kind)'}]"), "component.kind can only be compared"},
		{"type of a finding's component", environment("scanned: {advisoriesWithin: 1d}\nrules: [{id: a, each: finding, deny: finding.component.type == 'mavem'}]"), `no component has the type "mavem"`},

		{"exception without owner", environment("signed: {roles: [a]}\nexceptions: [{finding: CVE-1, component: 'pkg:deb/debian/a', repositories: ['**'], until: 2026-12-31, reason: r}]"), "exceptions[0].owner: an exception needs"},
		{"exception of a version", environment("signed: {roles: [a]}\nexceptions: [{finding: CVE-1, component: 'pkg:deb/debian/a@1', repositories: ['**'], until: 2026-12-31, reason: r, owner: o}]"), "leave out version"},
		{"exception without a day", environment("signed: {roles: [a]}\nexceptions: [{finding: CVE-1, component: 'pkg:deb/debian/a', repositories: ['**'], until: soon, reason: r, owner: o}]"), "is no day"},

		{"no root keys", head + "publishers: {a: {repositories: [registry.example.com/**]}}", "publishers.a.rootKeys: name the keys"},
		{"no repositories", head + strings.Replace(publisher, `["registry.example.com/a/**"]`, "[]", 1), "publishers.a.repositories: name what"},
		{"key threshold", head + strings.Replace(publisher, "threshold: 1", "threshold: 2", 1), "rootKeys.threshold: must be between 1 and the number of keys, 1"},
		{"short key", head + strings.Replace(publisher, "9c41", "9c", 1), "rootKeys.keys[0]:"},
		{"no host", head + strings.Replace(publisher, "registry.example.com/a/**", "debian", 1), "docker.io/library/debian"},
		{"official image without library", head + strings.Replace(publisher, "registry.example.com/a/**", "docker.io/nginx", 1), "matches no repository"},
		{"official images without library", head + strings.Replace(publisher, "registry.example.com/a/**", "docker.io/*", 1), "matches no repository"},
		{"port that is left out of names", head + strings.Replace(publisher, "registry.example.com/a/**", "registry.example.com:443/a/**", 1), "matches no repository"},
		{"pattern with a tag", head + strings.Replace(publisher, "registry.example.com/a/**", "registry.example.com/a:1", 1), "matches no repository"},
		{"pattern in letters that names cannot have", head + strings.Replace(publisher, "registry.example.com/a/**", "registry.example.com/pаyments", 1), "matches no repository"},
		{"host alone", head + strings.Replace(publisher, "registry.example.com/a/**", "registry.example.com", 1), "matches no repository"},
		{"exception that covers nothing", environment("signed: {roles: [a]}\nexceptions: [{finding: CVE-1, component: 'pkg:deb/debian/a', repositories: [docker.io/nginx], until: 2030-01-01, reason: r, owner: o}]"), "matches no repository"},
		{"mirror over another's own names", head + publisher + strings.NewReplacer("  a:", "  b:", "example.com/a", "example.com/b").Replace(strings.TrimPrefix(publisher, "publishers:\n")) + "    mirrors: {'registry.example.com/a/**': 'registry.example.com/b/**'}", "cannot be another's mirror"},
		{"half a wildcard", head + strings.Replace(publisher, "a/**", "a*", 1), "neither a name"},
		{"same repositories", head + publisher + strings.Replace(strings.TrimPrefix(publisher, "publishers:\n"), "  a:", "  b:", 1), "nobody could say whose keys count"},
		{"crossing repositories", head + publisher + strings.NewReplacer("  a:", "  b:", "registry.example.com/a/**", "**/x").Replace(strings.TrimPrefix(publisher, "publishers:\n")), "nobody could say whose keys count"},
		{"mirror of another's", head + publisher + "    mirrors: {'m.example.net/**': 'registry.example.com/b/**'}", "is not covered by this publisher's repositories"},
		{"mirror without wildcard", head + publisher + "    mirrors: {'m.example.net/**': 'registry.example.com/a/x'}", "end in the same wildcard"},
		{"hardware word", head + publisher + "    hardware: wanted", `publishers.a.hardware: it is the word "required"`},
		{"hardware touch", head + publisher + "    hardware: {attestation: required, touch: never}", `publishers.a.hardware.touch: "never": want "always"`},
		{"hardware firmware", head + publisher + "    hardware: {attestation: required, firmware: \"5.7\"}", `publishers.a.hardware.firmware: "5.7": want a lowest version`},
		{"hardware maker", head + publisher + "    hardware: {attestation: required, roots: [A/B]}", `publishers.a.hardware.roots[0]: "A/B" is no name`},
		{"hardware without attestation", head + publisher + "    hardware: {touch: always}", "publishers.a.hardware.attestation: can only be"},

		{"host of nowhere", head + "host: {environment: x}", `host.environment: "x" is not among the environments`},
		{"keep for ever", head + "host: {whenUnreachable: keep}", "host.whenUnreachable: want deny, or keep and a time such as keep 24h, got \"keep\""},
		{"keep without a unit", head + "host: {whenUnreachable: keep 24}", "host.whenUnreachable: \"24\" is no duration"},
		{"keep nothing", head + "host: {whenUnreachable: keep 0h}", "host.whenUnreachable: \"keep 0h\" keeps nothing"},
		{"keep too long", head + "host: {whenUnreachable: keep 4000d}", "longer than ten years"},
		{"unattributed", head + "host: {unattributed: allow}", "host.unattributed: want deny or minimal, got \"allow\""},
		{"builds from anything", environment("signed: {roles: [a]}\nbuilds: {from: any}"), "environments.e.builds.from: can only be allowed"},
		{"builds from nothing", environment("signed: {roles: [a]}\nbuilds: {}"), "environments.e.builds.from: can only be allowed"},
		{"the team of those without", head + strings.Replace(team, "  t:", "  unattributed:", 1), "teams.unattributed: is what containers without a team are counted under"},
		{"read-only as text", head + team + "      readOnly: 'yes'\n", "teams.t.profile.readOnly: want true or false, got text"},

		{"may", head + strings.Replace(team, "[run]", "[fly]", 1), `teams.t.may[0]: "fly" is none of run, exec, logs, build, copy`},
		{"no memory", head + strings.Replace(team, "      memory: 64MiB\n", "", 1), "teams.t.profile.memory: must be 6MiB or more"},
		{"memory without unit", head + strings.Replace(team, "64MiB", "64", 1), "teams.t.profile.memory: want text, got a number"},
		{"memory unit", head + strings.Replace(team, "64MiB", "64MB", 1), "teams.t.profile.memory: quantity \"64MB\""},
		{"pids as text", head + strings.Replace(team, "pids: 10", "pids: many", 1), "teams.t.profile.pids: want a whole number, got text"},
		{"host as text", head + team + "      host: 'yes'\n", "teams.t.profile.host: want true or false, got text"},
		{"network", head + team + "      network: {mode: host}\n", `teams.t.profile.network.mode: "host" is neither none nor bridge`},
		{"drop", head + team + "      capabilities: {drop: some}\n", "teams.t.profile.capabilities.drop: can only be all"},
		{"capability", head + team + "      capabilities: {add: [FLY]}\n", `teams.t.profile.capabilities.add: "FLY" is no capability`},
		{"mount", head + team + "      mounts: ['/**']\n", "teams.t.profile.mounts:"},
		{"setuid", head + team + "      setuidFiles: maybe\n", "teams.t.profile.setuidFiles: want deny or allow"},
		{"total storage", head + team + "    total: {storage: 1GiB}\n", "teams.t.total.storage: needs profile.storage"},
		{"total too small", head + team + "    total: {memory: 32MiB}\n", "teams.t.total.memory: is less than what one container gets"},
		{"negative total", head + team + "    total: {cpus: -1}\n", "teams.t.total.cpus: is less"},
		{"dot in a team's name", head + strings.Replace(team, "  t:", "  a.b:", 1), "cannot contain a dot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Parse("policy.yaml", []byte(tt.text))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %q in\n%s", err, tt.want, tt.text[:min(len(tt.text), 400)])
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := policy.Parse("policy.yaml", []byte("apiVersion: x\nkind: y\nhost: {environment: z}\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three lines, got %v", err)
	}
}

func TestPatternsThatMatch(t *testing.T) {
	for _, p := range []string{"docker.io/**", "docker.io/library/nginx", "docker.io/library/*", "docker.io/team/*", "**/legacy", "*/team/**", "**", "localhost:5000/**", "registry.example.com/a/**/b"} {
		if _, err := policy.Parse("policy.yaml", []byte(head+strings.Replace(publisher, "registry.example.com/a/**", p, 1))); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestThresholdIsAllRolesUnlessSaid(t *testing.T) {
	d := parse(t, environment("signed: {roles: [a, b, c]}"))
	if got := d.Environments["e"].Signed.Threshold; got != 3 {
		t.Errorf("threshold %d, want 3", got)
	}
}

func FuzzParse(f *testing.F) {
	b, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(environment("signed: {roles: [a]}")))
	f.Add([]byte("a: &x [*x]\n? b\n: - - c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := policy.Parse("policy.yaml", b)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v is not of kind invalid", b, err)
			}
			return
		}
		for name := range d.Environments {
			if len(d.Judge(t.Context(), now, name, facts())) == 0 {
				t.Errorf("%q: environment %q demands nothing", b, name)
			}
		}
	})
}
