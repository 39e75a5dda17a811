package cran

import (
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	scantest.Run(t, Extractor{}, []scantest.Case{
		{"from CRAN", "usr/lib/R/site-library/glue/DESCRIPTION", scantest.Data(t, "glue"), []string{"glue 1.6.2"}, []string{"usr/lib/R/site-library/glue/ glue "}, ""},
		{"R itself", "usr/lib/R/library/base/DESCRIPTION", scantest.Data(t, "base"), []string{"r 4.2.2"}, []string{"usr/lib/R/library/base/ r "}, ""},
		{"a part of R", "usr/lib/R/library/stats/DESCRIPTION", scantest.Data(t, "stats"), nil, nil, ""},
		{"sources", "srv/x/DESCRIPTION", "Package: x\nVersion: 1\n", nil, nil, ""},
		{"from Bioconductor", "srv/x/DESCRIPTION", "Package: limma\nVersion: 3.54.0\nbiocViews: Expression\nBuilt: R 4.2.2\n", []string{"limma 3.54.0"}, []string{"srv/x/ limma "}, ""},
	})
}

func TestExtractRefuses(t *testing.T) {
	scantest.Refuses(t, Extractor{}, map[string]string{
		"x/DESCRIPTION": "Package: a\nPackage: b\nBuilt: x\n",
	})
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
