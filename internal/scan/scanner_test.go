package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/ref"
)

// words recognises each word in files named "*.words" as a component.
type words struct{ version int }

func (words) Name() string   { return "words" }
func (w words) Version() int { return w.version }
func (words) Wants(e image.Entry, head []byte) bool {
	return strings.HasSuffix(e.Path, ".words") || strings.HasPrefix(string(head), "#!words")
}

func (words) Extract(_ context.Context, f File) (inventory.Found, error) {
	b, err := io.ReadAll(f)
	if err != nil {
		return inventory.Found{}, err
	}
	var found inventory.Found
	for w := range strings.FieldsSeq(string(b)) {
		switch w {
		case "panic":
			panic("made to crash")
		case "fail":
			return found, errStop
		}
		name, version, _ := strings.Cut(w, "@")
		found.Components = append(found.Components, inventory.Component{Kind: inventory.Library, Type: inventory.NPM, Name: name, Version: version})
	}
	return found, nil
}

func summary(v *inventory.Inventory) (out []string) {
	for _, c := range v.Components {
		out = append(out, fmt.Sprintf("%s@%s %d %s %s", c.Name, c.Version, c.Evidence[0].Index, c.Evidence[0].Path, c.Evidence[0].Method))
	}
	for _, u := range v.Unreadable {
		out = append(out, fmt.Sprintf("unreadable %d %q wrong=%v", u.Index, u.Path, u.Wrong))
	}
	return out
}

func TestScan(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers [][]byte
		want   []string
	}{
		{
			"by name and by content",
			[][]byte{tarOf(t, file("a.words", "one@1"), file("b", "#!words two@2"), file("c", "nothing"))},
			[]string{"#!words@ 0 b words", "one@1 0 a.words words", "two@2 0 b words"},
		},
		{"whiteout and hard link", [][]byte{
			tarOf(t, dir("d"), file("d/a.words", "one@1"), file("d/b.words", "two@2")),
			tarOf(t, hardlink("keep", "d/b.words")),
			tarOf(t, file(".wh.d", "")),
		}, []string{"two@2 1 keep words"}},
		{
			"opaque",
			[][]byte{tarOf(t, file("d/a.words", "one@1")), tarOf(t, file("d/.wh..wh..opq", ""), file("d/b.words", "two@2"))},
			[]string{"two@2 1 d/b.words words"},
		},
		{"symlink over directory", [][]byte{tarOf(t, file("d/a.words", "one@1")), tarOf(t, symlink("d", "e"))}, nil},
		{
			"panic and failure are parts that cannot be read",
			[][]byte{tarOf(t, file("a.words", "panic"), file("b.words", "two@2 fail"), file("c.words", "three@3"))},
			[]string{"three@3 0 c.words words", "two@2 0 b.words words", `unreadable 0 "a.words" wrong=false`, `unreadable 0 "b.words" wrong=false`},
		},
		{
			"control characters in a name",
			[][]byte{tarOf(t, file("a.words", "on\x1b[2Je@1 two@2"))},
			[]string{"two@2 0 a.words words", `unreadable 0 "a.words" wrong=false`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, _ := imageOf(test.layers...)
			v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, summary(v)); diff != "" {
				t.Errorf("inventory (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTwoExtractorsReadOneFile(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("etc/os-release", "ID=x\n"), file("opt/os-release", "#!words ID=y\n")))
	v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Components) != 2 || v.Distro.ID != "x" {
		t.Errorf("components %v, distro %+v", summary(v), v.Distro)
	}
}

func TestWrongBytesAreReportedWithWhatWasRead(t *testing.T) {
	m, blobs := imageOf(tarOf(t, file("a.words", "one@1")), tarOf(t, file("b.words", "two@2")))
	blobs[m.Layers[1].Digest] = tarOf(t, file("b.words", "evil@6"))
	cache := Folder{Path: t.TempDir()}
	v, err := New(Config{Extractors: []Extractor{words{}}, Cache: cache}).Scan(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"evil@6 1 b.words words", "one@1 0 a.words words", `unreadable 1 "" wrong=true`}
	if diff := cmp.Diff(want, summary(v)); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	kept, err := os.ReadDir(cache.Path)
	if err != nil || len(kept) != 1 {
		t.Errorf("%d layers kept, want only the good one (%v)", len(kept), err)
	}
}

func TestConfigThatClaimsOtherLayers(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("a.words", "one@1")))
	cache := Folder{Path: t.TempDir()}
	s := New(Config{Extractors: []Extractor{words{}}, Cache: cache})
	if _, err := s.Scan(t.Context(), m); err != nil { // from now on the facts are kept
		t.Fatal(err)
	}
	honest := m.Spec.RootFS.DiffIDs[0]
	for name, claim := range map[string][]ref.Digest{"other": {"sha256:77"}, "none": {}, "more": {honest, "sha256:77"}} {
		m.Spec.RootFS.DiffIDs = claim
		v, err := s.Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Unreadable) != 1 || !v.Unreadable[0].Wrong {
			t.Errorf("%s: unreadable = %+v, want one that is wrong", name, v.Unreadable)
		}
	}
}

func TestLayerThatCannotBeGotIsAnError(t *testing.T) {
	m, blobs := imageOf(tarOf(t, file("a.words", "one@1")))
	delete(blobs, m.Layers[0].Digest)
	_, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("err = %v, want unavailable", err)
	}
}

func TestCancelledScanIsAnError(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("a.words", "one@1")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(Config{}).Scan(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want cancelled", err)
	}
}

func TestCache(t *testing.T) {
	m, blobs := imageOf(tarOf(t, file("a.words", "one@1"), file("etc/os-release", "ID=debian")))
	folder := Folder{Path: filepath.Join(t.TempDir(), "layers")}
	var warned []error
	scan := func(version int) *inventory.Inventory {
		t.Helper()
		v, err := New(Config{Extractors: []Extractor{words{version}}, Cache: folder, Warn: func(err error) { warned = append(warned, err) }}).Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := scan(1)
	kept := blobs[m.Layers[0].Digest]
	delete(blobs, m.Layers[0].Digest)
	if diff := cmp.Diff(first, scan(1)); diff != "" {
		t.Errorf("from the cache (-first +second):\n%s", diff)
	}
	blobs[m.Layers[0].Digest] = kept
	scan(2)
	files, err := filepath.Glob(filepath.Join(folder.Path, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, want one for each version of the extractor (%v)", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(first, scan(1)); diff != "" {
		t.Errorf("after damage (-first +now):\n%s", diff)
	}
	if len(warned) != 1 || !strings.Contains(warned[0].Error(), "damaged") {
		t.Errorf("warnings = %v, want one about damage", warned)
	}
	warned = nil
	scan(1)
	if len(warned) != 0 {
		t.Errorf("the damaged facts were not replaced: %v", warned)
	}
}

func TestFactsThatJSONCannotCarryAreNotKept(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("\xff.words", "one@1")), tarOf(t, file(".wh.\xfe.words", "")))
	folder := Folder{Path: t.TempDir()}
	for range 2 {
		v, err := New(Config{Extractors: []Extractor{words{}}, Cache: folder}).Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Components)+len(v.Unreadable) == 0 {
			t.Fatal("the whiteout of another name removed the component")
		}
	}
}

func TestParseOSRelease(t *testing.T) {
	got := parseOSRelease("# comment\nPRETTY_NAME=\"Debian \\\"12\\\"\"\nID=Debian\nVERSION_ID='12'\nVERSION_CODENAME=bookworm\nnonsense\nID_LIKE=x\n")
	want := inventory.Distro{ID: "debian", VersionID: "12", Codename: "bookworm", Name: `Debian "12"`}
	if got != want {
		t.Errorf("distro = %+v, want %+v", got, want)
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add("ID=debian\nVERSION_ID=\"12\"\n")
	f.Fuzz(func(t *testing.T, s string) {
		d := parseOSRelease(s)
		if strings.ContainsFunc(d.ID+d.VersionID+d.Codename+d.Name, control) {
			t.Errorf("control characters in %+v", d)
		}
	})
}
