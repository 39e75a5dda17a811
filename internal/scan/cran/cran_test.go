package cran

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
		{"from CRAN", "usr/lib/R/site-library/glue/DESCRIPTION", testdata(t, "glue"), []string{"glue 1.6.2"}, []string{"usr/lib/R/site-library/glue/ glue "}, ""},
		{"R itself", "usr/lib/R/library/base/DESCRIPTION", testdata(t, "base"), []string{"r 4.2.2"}, []string{"usr/lib/R/library/base/ r "}, ""},
		{"a part of R", "usr/lib/R/library/stats/DESCRIPTION", testdata(t, "stats"), nil, nil, ""},
		{"sources", "srv/x/DESCRIPTION", "Package: x\nVersion: 1\n", nil, nil, ""},
		{"from Bioconductor", "srv/x/DESCRIPTION", "Package: limma\nVersion: 3.54.0\nbiocViews: Expression\nBuilt: R 4.2.2\n", []string{"limma 3.54.0"}, []string{"srv/x/ limma "}, ""},
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
		"x/DESCRIPTION": "Package: a\nPackage: b\nBuilt: x\n",
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"DESCRIPTION", "x/DESCRIPTION.in"} {
		if scantest.Wants(Extractor{}, path, []byte("Package: ")) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "x/DESCRIPTION", "Package: a\nVersion: 1\nBuilt: x\nPriority: base\n")
}
