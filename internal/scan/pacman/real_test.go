package pacman

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

func TestRealPackage(t *testing.T) {
	var found inventory.Found
	for _, base := range []string{"desc", "mtree"} {
		content, err := os.ReadFile("testdata/" + base)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Extractor{}.Extract(t.Context(), scantest.File("var/lib/pacman/local/gmp-6.2.1-2/"+base, content))
		if err != nil {
			t.Fatal(err)
		}
		found.Components = append(found.Components, f.Components...)
		found.Owned = append(found.Owned, f.Owned...)
	}
	want := inventory.Found{
		Components: []inventory.Component{{
			Kind: inventory.OS, Type: inventory.ALPM, Name: "gmp", Version: "6.2.1-2", Arch: "x86_64", SourceName: "gmp", SourceVersion: "6.2.1-2",
			Licences: []string{"LGPL3", "GPL"}, Vendor: "Antonio Rojas <arojas@archlinux.org>",
		}},
		Owned: []inventory.Owned{
			{Path: "usr/lib/libgmp.so.10.4.1", Package: "gmp", Type: inventory.ALPM, Sum: "sha256:39898bd3d8d6785222432fa8b8aef7ce3b7e5bbfc66a52b7c0da09bed4adbe6a"},
			{Path: "usr/lib/libgmpxx.so.4.6.1", Package: "gmp", Type: inventory.ALPM, Sum: "sha256:0ef67cbde4841f58d2e4b41f59425eb87c9eeaf4e649c060b326342c53bedbec"},
		},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}
