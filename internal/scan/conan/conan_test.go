package conan

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
			"Conan 1", "app/conan.lock", testdata(t, "conan-1.lock"),
			[]string{"boost 1.75.0", "bzip2 1.0.8", "libbacktrace cci.20210118", "tinyxml2 9.0.0", "zlib 1.2.12", "my_user/mfast 1.2.2"},
			nil, "app/build",
		},
		{"Conan 2", "app/conan.lock", testdata(t, "conan-2.lock"), []string{"matrix 1.1", "sound32 1.0"}, nil, "app/build"},
		{"tools", "conan.lock", `{"requires": ["nonsense", "a/1@_/_"], "build_requires": ["cmake/3.0"], "graph_lock": {"nodes": {"1": {"ref": "cmake/3.0", "context": "build"}}}}`, nil, nil, "build"},
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
		"conan.lock": "{",
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "conan.lock", `{"requires": ["a/1@u/c#r%t"], "graph_lock": {"nodes": {"1": {"ref": "b/2"}}}}`)
}
