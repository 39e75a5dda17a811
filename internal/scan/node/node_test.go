package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func TestWants(t *testing.T) {
	for path, want := range map[string]string{
		"node_modules/a/package.json":                                  "npm",
		"app/node_modules/@s/a/package.json":                           "npm",
		"app/node_modules/a/node_modules/b/package.json":               "npm",
		"app/node_modules/.pnpm/a@1.0.0/node_modules/a/package.json":   "npm",
		"app/package.json":                                             "npm",
		"package.json":                                                 "npm",
		"usr/src/app/package.json":                                     "npm",
		"home/node/app/package.json":                                   "npm",
		"usr/local/lib/python3.11/site-packages/x/package.json":        "",
		"app/src/templates/package.json":                               "",
		"usr/share/nodejs/undici/package.json":                         "npm",
		"usr/share/nodejs/@types/node/package.json":                    "npm",
		"usr/lib/x86_64-linux-gnu/nodejs/x/package.json":               "npm",
		"usr/share/doc/nodejs/x/package.json":                          "",
		"usr/local/lib/node_modules/npm/node_modules/ini/package.json": "npm",
		"app/node_modules/node-forge/flash/package.json":               "",
		"app/node_modules/resolve/test/node_modules/a/package.json":    "",
		"app/node_modules/test/package.json":                           "npm",
		"app/node_modules/a/dist/node_modules/b/package.json":          "npm",
		"app/node_modules/.bin/package.json":                           "",
		"app/bun.lock":                                                 "npm-lock",
		"app/.yarn/cache/a-npm-1.0.0-0123456789-abcdef0123.zip":        "yarn-cache",
		"srv/a.zip":                              "",
		"app/node_modules/a/test/package.json":   "",
		"app/node_modules/@s/a/lib/package.json": "",
		"app/node_modules/package.json":          "",
		"app/package-lock.json":                  "npm-lock",
		"app/npm-shrinkwrap.json":                "npm-lock",
		"yarn.lock":                              "npm-lock",
		"app/pnpm-lock.yaml":                     "npm-lock",
		"app/node_modules/.package-lock.json":    "",
		"app/node_modules/a/yarn.lock":           "",
		"node_modules/a/package-lock.json":       "",
	} {
		var got strings.Builder
		for _, x := range []scan.Extractor{Packages{}, Locks{}, Zips{}} {
			if scantest.Wants(x, path, []byte("PK\x03\x04")) {
				got.WriteString(x.Name())
			}
		}
		if got.String() != want {
			t.Errorf("%q is wanted by %q, want %q", path, got.String(), want)
		}
	}
}

func TestExtract(t *testing.T) {
	const pkg = "app/node_modules/a/package.json"
	for _, test := range []struct {
		name, path, content string
		want                []string
	}{
		{"package", pkg, `{"name": "a", "version": "v1.2.3", "license": "MIT"}`, []string{"a 1.2.3"}},
		{"scoped", pkg, "\uFEFF" + `{"name": "@s/a", "version": "1.2.3", "license": {"type": "MIT"}}`, []string{"@s/a 1.2.3"}},
		{"no package", pkg, `{"type": "module"}`, nil},
		{
			"npm 1", "app/package-lock.json", `{"lockfileVersion": 1, "dependencies": {
			"a": {"version": "1.0.0", "requires": {"b": "^1"}, "dependencies": {"b": {"version": "1.1.0"}}},
			"b": {"version": "2.0.0"}, "d": {"version": "1.0.0", "dev": true},
			"git": {"version": "git+ssh://git@example.com/x.git#abc"}, "alias": {"version": "npm:@s/real@3.0.0"}}}`,
			[]string{"a 1.0.0", "b 1.1.0", "b 2.0.0", "@s/real 3.0.0"},
		},
		{
			"npm 3", "app/package-lock.json", `{"lockfileVersion": 3, "packages": {"": {"name": "app", "version": "1.0.0", "dependencies": {"a": "^1"}},
			"node_modules/a": {"version": "1.0.0", "dependencies": {"b": "^1"}}, "node_modules/a/node_modules/@s/b": {"version": "1.1.0"},
			"node_modules/d": {"version": "1.0.0", "dev": true}, "node_modules/alias": {"name": "real", "version": "3.0.0"},
			"packages/w": {"version": "0.0.1"}, "node_modules/w": {"resolved": "packages/w", "link": true}}}`,
			[]string{"a 1.0.0", "real 3.0.0", "@s/b 1.1.0"},
		},
		{
			"yarn 1", "yarn.lock", "# yarn lockfile v1\n\n\n\"@s/a@^1.0.0\", \"@s/a@^1.2.0\":\n  version \"1.2.3\"\n  resolved \"https://example.com\"\n\nb@^2:\n  version \"2.0.0\"\n  dependencies:\n    version \"9\"\n\n\"short@npm:real@^3\":\n  version \"3.0.0\"\n",
			[]string{"b 2.0.0", "real 3.0.0", "@s/a 1.2.3"},
		},
		{
			"yarn 4", "yarn.lock", "__metadata:\n  version: 8\n\n\"@s/a@npm:^1.0.0\":\n  version: 1.2.3\n  resolution: \"@s/a@npm:1.2.3\"\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n",
			[]string{"@s/a 1.2.3"},
		},
		{
			"pnpm 5", "pnpm-lock.yaml", "lockfileVersion: 5.4\n\npackages:\n\n  /@s/a/1.2.3:\n    resolution: {integrity: x}\n    dev: false\n\n  /b/2.0.0_react@17.0.0:\n    dev: false\n\n  /d/1.0.0:\n    dev: true\n",
			[]string{"b 2.0.0", "@s/a 1.2.3"},
		},
		{"pnpm 6", "pnpm-lock.yaml", "packages:\n\n  /@s/a@1.2.3(react@17.0.0):\n    dev: false\n  /d@1.0.0:\n    dev: true\n", []string{"@s/a 1.2.3"}},
		{"pnpm 9", "pnpm-lock.yaml", "packages:\n\n  '@s/a@1.2.3':\n    resolution: {integrity: x}\n\n  b@2.0.0:\n    resolution: {}\n\nsnapshots:\n\n  c@3.0.0: {}\n", []string{"b 2.0.0", "@s/a 1.2.3"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var x scan.Extractor = Locks{}
			if test.path == pkg {
				x = Packages{}
			}
			found, err := x.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExtractRefuses(t *testing.T) {
	if _, err := (Packages{}).Extract(t.Context(), scantest.File("node_modules/a/package.json", []byte(`{"name":`))); err == nil {
		t.Error("half a package.json is taken")
	}
	if _, err := (Locks{}).Extract(t.Context(), scantest.File("package-lock.json", []byte(`[`))); err == nil {
		t.Error("half a lock file is taken")
	}
}

func FuzzPackage(f *testing.F) {
	scantest.Fuzz(f, Packages{}, "node_modules/a/package.json", `{"name": "@s/a", "version": "1", "license": {"type": "MIT"}}`)
}

func FuzzNPMLock(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "package-lock.json", `{"dependencies": {"a": {"version": "1.0.0"}}}`, `{"packages": {"node_modules/a": {"version": "1.0.0"}}}`)
}

func FuzzYarn(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "yarn.lock", "\"@s/a@^1\", x@npm:y@1:\n  version \"1.2.3\"\n", "\"a@npm:^1\":\n  resolution: \"a@npm:1.2.3\"\n")
}

func FuzzPNPM(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "pnpm-lock.yaml", "packages:\n\n  /@s/a/1.2.3_x:\n    dev: true\n  'b@1.0.0':\n")
}
