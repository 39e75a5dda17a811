package pub

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
			"a lock file", "app/pubspec.lock", testdata(t, "pubspec.lock"),
			[]string{"ale 3.3.0", "analyzer 0.40.7", "ansicolor 1.1.1", "archive 2.0.13", "args 1.6.0"},
			nil, "app/.dart_tool",
		},
		{
			"for development only", "app/pubspec.lock", "packages:\n  \"a\":\n    dependency: \"direct dev\"\n    source: hosted\n    version: \"1\"\n  b:\n    source: hosted\n    version: \"2\"\nsdks:\n  dart: \"3\"\n",
			[]string{"b 2"},
			nil, "app/.dart_tool",
		},
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
		"a line without end": string(make([]byte, 2<<20)),
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"app/pubspec.yaml", "home/u/.pub-cache/fixtures/pubspec.lock"} {
		if scantest.Wants(Extractor{}, path, []byte("Package: ")) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "pubspec.lock", "packages:\n  a:\n    source: hosted\n    version: \"1\"\n")
}
