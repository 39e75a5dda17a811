package hackage

import (
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	scantest.Run(t, Extractor{}, []scantest.Case{
		{"of GHC", "var/lib/ghc/package.conf.d/random-1.2.1.1.conf", scantest.Data(t, "random-1.2.1.1.conf"), []string{"random 1.2.1.1"}, nil, ""},
		{"of Cabal", "root/.cabal/store/ghc-9.0.2/package.db/split.conf", scantest.Data(t, "split-0.2.3.5.conf"), []string{"split 0.2.3.5"}, nil, ""},
		{"an internal library", "x/package.db/a.conf", "name: z-a-z-part\nversion: 1\npackage-name: a\n", []string{"a 1"}, nil, ""},
	})
}

func TestExtractRefuses(t *testing.T) {
	scantest.Refuses(t, Extractor{}, map[string]string{
		"x/package.db/a.conf": "version: 1\n",
		"x/package.db/b.conf": "name: a\nname: b\n",
	})
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
