package dpkg

import (
	"strings"
	"testing"

	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func TestDatabaseOfCountlessPackagesIsBounded(t *testing.T) {
	content := strings.Repeat("Package: a\n\n", scan.MaxComponents*4)
	found, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/dpkg/status", []byte(content)))
	if err == nil || len(found.Components) > scan.MaxComponents+1 {
		t.Errorf("%d packages, %v", len(found.Components), err)
	}
}

func TestListOfLongPathsIsBounded(t *testing.T) {
	line := "/usr/lib/python3/" + strings.Repeat("x", 3000) + "/a.egg-info\n"
	_, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/dpkg/info/a.list", []byte(strings.Repeat(line, 12_000))))
	if err == nil {
		t.Error("36 MB of paths are kept")
	}
}

func TestPackageCannotOwnWhatAnApplicationBrought(t *testing.T) {
	const list = "/app/node_modules/lodash/package.json\n/srv/venv/lib/python3.11/site-packages/django.dist-info/METADATA\n/usr/share/kibana/node_modules/x/package.json\n"
	found, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/dpkg/info/base-files.list", []byte(list)))
	if err != nil || len(found.Owned) != 0 {
		t.Errorf("owned %v, %v", found.Owned, err)
	}
}

func TestDiversionsThatSayNothingAreHarmless(t *testing.T) {
	for _, content := range []string{"", "\n\n\n", "/a\n", "/a\n/b\n", "/a\n\n:\n", strings.Repeat("x", 3*lineSize) + "\n/b\n:\n"} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File("var/lib/dpkg/diversions", []byte(content))); err != nil {
			t.Errorf("%.20q: %v", content, err)
		}
	}
}
