package dotnet

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan/scantest"
)

// bundle makes a bundle of a real host and a deps.json, as the SDK does: files,
// then the header, whose place is written before the marker.
func bundle(t testing.TB, version uint32, deps string) string {
	t.Helper()
	b := []byte(sample(t, "apphost"))
	b = append(b, bytes.Repeat([]byte("an assembly"), 100)...)
	place := len(b)
	b = append(b, deps...)
	head := len(b)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 2)
	b = append(b, "\x0cAbCdEfGhIjKl"...)
	b = binary.LittleEndian.AppendUint64(b, uint64(place))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(deps)))
	b = append(b, make([]byte, 24)...)
	binary.LittleEndian.PutUint64(b[bytes.Index(b, marker)-8:], uint64(head))
	return string(b)
}

func TestBundles(t *testing.T) {
	doc := sample(t, "MsbuildAnalyzer.deps.json")
	want := []string{"MsbuildAnalyzer 1.0.0", "Microsoft.Build.Locator 1.8.1"}
	for _, version := range []uint32{2, 6} {
		found := extract(t, Bundles{}, "app/renamed", bundle(t, version, doc))
		if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" || len(found.Owned) > 0 {
			t.Errorf("owned %v, components (-want +got):\n%s", found.Owned, diff)
		}
	}
	for name, content := range map[string]string{"an older one": bundle(t, 1, doc), "none in it": bundle(t, 6, ""), "something else behind": sample(t, "apphost") + strings.Repeat("x", 1000)} {
		if found := extract(t, Bundles{}, "app/x", content); !found.Empty() {
			t.Errorf("%s: %v", name, scantest.Summary(found.Components))
		}
	}
}

func TestHostileBundles(t *testing.T) {
	good := bundle(t, 6, sample(t, "MsbuildAnalyzer.deps.json"))
	at := strings.Index(good, string(marker)) - 8
	head := int(binary.LittleEndian.Uint64([]byte(good[at:])))
	for name, change := range map[string]struct {
		at    int
		value uint64
	}{
		"header behind the end": {at, 1 << 40}, "negative header": {at, 1 << 63}, "header at the end": {at, uint64(len(good) + 7)},
		"long name": {head + 12, 0xff}, "document behind the end": {head + 25, 1 << 30}, "negative document": {head + 25, 1 << 63},
		"large document": {head + 33, 1 << 40}, "negative size": {head + 33, 1 << 63}, "not JSON": {head + 25, 0},
	} {
		b := []byte(good + "12345678")
		binary.LittleEndian.PutUint64(b[change.at:], change.value)
		found, err := Bundles{}.Extract(t.Context(), scantest.File("x", b))
		if !fault.Is(err, fault.Invalid) || !found.Empty() {
			t.Errorf("%s: %v, %v", name, scantest.Summary(found.Components), err)
		}
	}
}

func TestWantsBundles(t *testing.T) {
	if scantest.Wants(Bundles{}, "app/host", []byte(sample(t, "apphost"))) {
		t.Error("a host without a bundle is read")
	}
	if scantest.Wants(Bundles{}, "x", bytes.Repeat([]byte("x"), 1000)) || scantest.Wants(Bundles{}, "x", nil) {
		t.Error("other files are read")
	}
}

func FuzzBundles(f *testing.F) {
	scantest.Fuzz(f, Bundles{}, "x", bundle(f, 6, `{"libraries": {"A/1": {"type": "package"}}}`))
}
