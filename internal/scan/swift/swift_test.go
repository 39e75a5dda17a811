package swift

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan/scantest"
)

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExtract(t *testing.T) {
	for _, test := range []struct {
		name, path, content string
		want, owned         []string
		unless              string
	}{
		{
			"form 1", "app/Package.resolved", `{"object": {"pins": [{"package": "NIO", "repositoryURL": "git@github.com:apple/swift-nio.git", "state": {"branch": null, "revision": "x", "version": "2.0.0"}}]}, "version": 1}`,
			[]string{"github.com/apple/swift-nio 2.0.0"},
			nil, "app/.build",
		},
		{
			"form 2", "app/Package.resolved", testdata(t, "Package.resolved"),
			[]string{"github.com/apple/swift-algorithms 1.0.0", "github.com/apple/swift-async-algorithms 0.1.0", "github.com/apple/swift-atomics 1.1.0", "github.com/apple/swift-collections 1.0.4", "github.com/apple/swift-numerics 1.0.2"},
			nil, "app/.build",
		},
		{
			"form 3", "app/Package.resolved", testdata(t, "PackageV3.resolved"),
			[]string{"github.com/apple/swift-syntax 509.1.1"},
			nil, "app/.build",
		},
		{"a branch", "Package.resolved", `{"pins": [{"location": "https://example.com/a/b", "state": {"branch": "main"}}]}`, nil, nil, ".build"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !scantest.Wants(Extractor{}, test.path, []byte(test.content)) {
				t.Error("not wanted")
			}
			found, err := Extractor{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" || found.Unless != test.unless {
				t.Errorf("unless %q, components (-want +got):\n%s", found.Unless, diff)
			}
			var owned []string
			for _, o := range found.Owned {
				owned = append(owned, o.Path+" "+o.Package+" "+o.Sum)
			}
			if diff := cmp.Diff(test.owned, owned); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExtractRefuses(t *testing.T) {
	for path, content := range map[string]string{
		"Package.resolved": "[]",
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "Package.resolved", `{"pins": [{"location": "https://u@h/a/b.git/", "state": {"version": "1"}}]}`, `{"object": {"pins": []}}`)
}
