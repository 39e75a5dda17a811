package dpkg

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

func TestDistroless(t *testing.T) {
	var found inventory.Found
	for name, path := range map[string]string{
		"libsqlite3-0":         "var/lib/dpkg/status.d/libsqlite3-0",
		"libsqlite3-0.md5sums": "var/lib/dpkg/status.d/libsqlite3-0.md5sums",
		"copyright":            "usr/share/doc/libsqlite3-0/copyright",
	} {
		content, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !scantest.Wants(Extractor{}, path, content) {
			t.Errorf("%s is not wanted", path)
		}
		f, err := Extractor{}.Extract(t.Context(), scantest.File(path, content))
		if err != nil {
			t.Fatal(err)
		}
		found.Components = append(found.Components, f.Components...)
		found.Owned = append(found.Owned, f.Owned...)
		found.Terms = append(found.Terms, f.Terms...)
	}
	want := inventory.Found{
		Components: []inventory.Component{{
			Kind: inventory.OS, Type: inventory.Deb, Name: "libsqlite3-0", Version: "3.34.1-3", Arch: "arm64", SourceName: "sqlite3", SourceVersion: "3.34.1-3",
			Vendor: "Laszlo Boszormenyi (GCS) <gcs@debian.org>",
		}},
		Owned: []inventory.Owned{{Path: "usr/lib/aarch64-linux-gnu/libsqlite3.so.0.8.6", Package: "libsqlite3-0", Type: inventory.Deb, Sum: "md5:e11d70c96979a1328ae4e7e50542782b"}},
		Terms: []inventory.Terms{{Package: "libsqlite3-0", Type: inventory.Deb, Licences: []string{"public-domain", "GPL-2+"}}},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}
