package hackage

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
		{"of GHC", "var/lib/ghc/package.conf.d/random-1.2.1.1.conf", testdata(t, "random-1.2.1.1.conf"), []string{"random 1.2.1.1"}, nil, ""},
		{"of Cabal", "root/.cabal/store/ghc-9.0.2/package.db/split.conf", testdata(t, "split-0.2.3.5.conf"), []string{"split 0.2.3.5"}, nil, ""},
		{"an internal library", "x/package.db/a.conf", "name: z-a-z-part\nversion: 1\npackage-name: a\n", []string{"a 1"}, nil, ""},
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
		"x/package.db/a.conf": "version: 1\n",
		"x/package.db/b.conf": "name: a\nname: b\n",
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"etc/x.conf", "x/package.db"} {
		if scantest.Wants(Extractor{}, path, []byte("Package: ")) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "x/package.db/a.conf", "name: a\nversion: 1\nlicense: MIT\n")
}
