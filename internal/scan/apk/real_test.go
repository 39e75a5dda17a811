package apk

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

func TestRealDatabase(t *testing.T) {
	content, err := os.ReadFile("testdata/installed")
	if err != nil {
		t.Fatal(err)
	}
	found, err := Extractor{}.Extract(t.Context(), scantest.File("lib/apk/db/installed", content))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"alpine-baselayout-data 3.2.0-r22 < alpine-baselayout 3.2.0-r22 (x86_64)", "musl 1.2.3-r0 < musl 1.2.3-r0 (x86_64)",
		"busybox 1.35.0-r17 < busybox 1.35.0-r17 (x86_64)", "alpine-baselayout 3.2.0-r22 < alpine-baselayout 3.2.0-r22 (x86_64)",
	}
	got := scantest.Summary(found.Components)
	if diff := cmp.Diff(want, got[:min(4, len(got))]); diff != "" || len(got) != 14 {
		t.Errorf("%d packages (-want +got):\n%s", len(got), diff)
	}
	for _, want := range []inventory.Owned{
		{Path: "bin/busybox", Package: "busybox", Type: inventory.Apk, Sum: "sha1:594c0163478e1a0ce05714d9c490593f241489c2"},
		{Path: "lib/ld-musl-x86_64.so.1", Package: "musl", Type: inventory.Apk, Sum: "sha1:659a9f94a12f4ad273e125d5d120cc8b7c0eb4cd"},
	} {
		if !slices.Contains(found.Owned, want) {
			t.Errorf("%+v is not claimed", want)
		}
	}
	if got := found.Components[0].Vendor; got != "Natanael Copa <ncopa@alpinelinux.org>" {
		t.Errorf("vendor = %q", got)
	}
}
