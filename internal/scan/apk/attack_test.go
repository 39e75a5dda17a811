package apk

import (
	"strings"
	"testing"
	"time"

	"plimsoll/internal/scan"
	"plimsoll/internal/scan/scantest"
)

func TestLongFolderOfManyFilesTakesNoTime(t *testing.T) {
	content := "P:a\nV:1\nF:usr/lib/python3/" + strings.Repeat("x", lineSize-100) + "\n" + strings.Repeat("R:a.egg-info\n", 1<<19)
	start := time.Now()
	found, err := Extractor{}.Extract(t.Context(), scantest.File("lib/apk/db/installed", []byte(content)))
	if err != nil || len(found.Owned) != 0 || len(found.Components) != 1 {
		t.Errorf("%d owned, %d packages, %v", len(found.Owned), len(found.Components), err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestDatabaseOfCountlessPackagesIsBounded(t *testing.T) {
	found, err := Extractor{}.Extract(t.Context(), scantest.File("lib/apk/db/installed", []byte(strings.Repeat("P:a\n\n", scan.MaxComponents*4))))
	if err == nil || len(found.Components) > scan.MaxComponents+1 {
		t.Errorf("%d packages, %v", len(found.Components), err)
	}
}

func TestTwoNamesInOneRecordAreRefused(t *testing.T) {
	for _, content := range []string{"P:openssl\nP:harmless\nV:1\n\n", "P:openssl\nV:1\nV:99\n\n", "P:a\nV:1\nP:b\nV:2\n\n"} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File("lib/apk/db/installed", []byte(content))); err == nil {
			t.Errorf("%q is taken", content)
		}
	}
}
