package python

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	for _, test := range []struct {
		path, content string
		want          []string
	}{
		{"usr/lib/python3/dist-packages/requests-2.28.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: Requests\nVersion: 2.28.1\nLicense: Apache 2.0\n\nName: not this\n", []string{"requests 2.28.1"}},
		{"x/zope.interface-6.0.egg-info/PKG-INFO", "Name: Zope._-Interface\r\nVersion: 6.0\r\n\r\n", []string{"zope-interface 6.0"}},
		{"x/six-1.16.0.egg-info", "\uFEFFName: six\nVersion: 1.16.0\n", []string{"six 1.16.0"}},
		{"x/old-1.egg/EGG-INFO/PKG-INFO", "Name: old\nVersion: 1\nDescription: a\n  Version: 2\n", []string{"old 1"}},
		{"x/empty.dist-info/METADATA", "", nil},
	} {
		t.Run(test.path, func(t *testing.T) {
			if !scantest.Wants(Extractor{}, test.path, nil) {
				t.Error("the file is not wanted")
			}
			found, err := Extractor{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNameless(t *testing.T) {
	if _, err := (Extractor{}).Extract(t.Context(), scantest.File("x/a.egg-info", []byte("Version: 1\n"))); err == nil {
		t.Error("metadata without a name is taken")
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"x/METADATA", "x/PKG-INFO", "x/a.dist-info/RECORD", "x/a.egg-info/SOURCES.txt"} {
		if scantest.Wants(Extractor{}, path, nil) {
			t.Errorf("%q is wanted", path)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "x/a.dist-info/METADATA", "Name: a\nVersion: 1\n\nmore")
}

func TestTwoNamesOrVersionsAreRefused(t *testing.T) {
	for _, content := range []string{"Name: django\nVersion: 1\nName: harmless\n", "Name: django\nVersion: 1\nVersion: 99\n"} {
		found, err := Extractor{}.Extract(t.Context(), scantest.File("x/a.dist-info/METADATA", []byte(content)))
		if err == nil || len(found.Components) != 1 || found.Components[0].Name != "django" {
			t.Errorf("%q: %v, %v: want the first, and an error", content, found.Components, err)
		}
	}
}
