package node

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func TestHostileJSON(t *testing.T) {
	const pkg, lock = "app/node_modules/@s/lodash/package.json", "app/package-lock.json"
	for _, test := range []struct {
		name, path, content string
		want                []string
		refused             bool
	}{
		{"another spelling of version", pkg, `{"name": "a", "version": "4.17.4", "Version": "99.0.0", "VERSION": "99"}`, []string{"a 4.17.4"}, false},
		{"of two the last counts, as in JavaScript", pkg, `{"version": "99.0.0", "name": "a", "version": "4.17.4"}`, []string{"a 4.17.4"}, false},
		{"a version as npm cleans it", pkg, `{"name": "a", "version": " =v4.17.4 "}`, []string{"a 4.17.4"}, false},
		{"no name", pkg, `{"version": "4.17.4"}`, []string{"@s/lodash 4.17.4"}, false},
		{"a version that is no text", pkg, `{"name": "a", "version": 4}`, []string{"a"}, false},
		{"byte order mark", pkg, "\uFEFF{\"name\": \"a\", \"version\": \"1\"}", []string{"a 1"}, false},
		{"UTF-16", pkg, "\xff\xfe{\x00", nil, true},
		{"something behind", pkg, `{"name": "a", "version": "1"} {"version": "2"}`, nil, true},
		{"an array", pkg, `["a"]`, nil, true},
		{"too deep", pkg, `{"x": ` + strings.Repeat("[", 1<<20), nil, true},
		{"lock: another spelling", lock, `{"packages": {"node_modules/a": {"version": "1.0.0", "Version": "9.0.0", "DEV": true}}, "Packages": {}}`, []string{"a 1.0.0"}, false},
		{"lock: odd types", lock, `{"packages": {"node_modules/a": ["x", {"y": 1}], "node_modules/b": {"version": {"x": 1}, "dev": "no"}}, "dependencies": null}`, nil, false},
		{"lock: too deep", lock, strings.Repeat(`{"dependencies": {"a": `, 10_000), nil, true},
		{"lock: countless packages", lock, countless(scan.MaxComponents + 10), nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var x scan.Extractor = Packages{}
			if test.path == lock {
				x = Locks{}
			}
			found, err := x.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if (err != nil) != test.refused {
				t.Fatalf("err = %v, refused = %v", err, test.refused)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" && !test.refused {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func countless(n int) string {
	var b strings.Builder
	b.WriteString(`{"packages": {`)
	for i := range n {
		fmt.Fprintf(&b, `"node_modules/p%d": {"version": "1.0.0"},`, i)
	}
	return b.String() + `"": {}}}`
}

func TestLockFileOfEmptyEntriesTakesNoMemory(t *testing.T) {
	content := []byte(`{"packages": {` + strings.Repeat(`"a":{},`, (8<<20)/7) + `"": {}}}`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := (Locks{}).Extract(t.Context(), scantest.File("package-lock.json", content)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func TestLinesOfLockFilesAreBounded(t *testing.T) {
	for path, line := range map[string]string{"yarn.lock": "  version \"1.0.0\"\n", "pnpm-lock.yaml": "  a@1.0.0:\n"} {
		content := "packages:\n" + strings.Repeat(line, scan.MaxComponents+10)
		if path == "yarn.lock" {
			content = "a@^1:\n" + content[len("packages:\n"):]
		}
		if _, err := (Locks{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: countless packages are taken", path)
		}
	}
}
