package scan

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

func scanned(t *testing.T, layers ...[]byte) []string {
	t.Helper()
	m, _ := imageOf(layers...)
	v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return summary(v)
}

func TestHardLinkGivesTheNameThatIsWanted(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers [][]byte
		want   []string
	}{
		{
			"in one layer",
			[][]byte{tarOf(t, file("store/00", "one@1"), hardlink("a.words", "store/00"), hardlink("b.words", "store/00"))},
			[]string{"one@1 0 a.words words"},
		},
		{
			"the content of before",
			[][]byte{tarOf(t, file("x", "one@1"), hardlink("a.words", "x"), file("x", "two@2"))},
			[]string{"one@1 0 a.words words"},
		},
		{
			"of another layer",
			[][]byte{tarOf(t, file("x", "one@1")), tarOf(t, hardlink("a.words", "x"))},
			[]string{`unreadable 1 "a.words" wrong=false`},
		},
		{
			"of nothing",
			[][]byte{tarOf(t, hardlink("a.words", "x"))},
			[]string{`unreadable 0 "a.words" wrong=false`},
		},
		{
			"of what is wanted anyway",
			[][]byte{tarOf(t, file("x.words", "one@1")), tarOf(t, hardlink("a.words", "x.words"))},
			[]string{"one@1 0 x.words words"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, scanned(t, test.layers...)); diff != "" {
				t.Errorf("inventory (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHardLinksToOneFileAreReadWithinBounds(t *testing.T) {
	l := New(Config{Extractors: []Extractor{words{}}}).newLayer()
	l.again = map[string][]string{"x": {"a.words", "b.words"}}
	l.left = 1 << 20
	m, _ := imageOf(tarOf(t, file("x", strings.Repeat("one@1 ", 100_000)), hardlink("a.words", "x"), hardlink("b.words", "x")))
	if err := l.walk(t.Context(), 0, m, image.Caps{}); err != nil {
		t.Fatal(err)
	}
	if len(l.aliases) != 1 || len(l.facts.Files) != 2 || len(l.facts.Files[1].Wanted) != 1 {
		t.Errorf("%d read, %+v: want one read and one that stays wanted", len(l.aliases), l.facts.Files[1].Wanted)
	}
}

func TestOneLayerManyTimesIsReadOnce(t *testing.T) {
	one := tarOf(t, file("a.words", "one@1"))
	m, blobs := imageOf(one)
	for range 9_999 {
		m.Layers = append(m.Layers, m.Layers[0])
		m.Spec.RootFS.DiffIDs = append(m.Spec.RootFS.DiffIDs, m.Spec.RootFS.DiffIDs[0])
	}
	m.Spec.RootFS.DiffIDs[7] = "sha256:77"
	m.Blobs = &counting{memory: blobs}
	v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Blobs.(*counting).n; n != 1 {
		t.Errorf("the blob was opened %d times", n)
	}
	want := []string{"one@1 0 a.words words", `unreadable 7 "" wrong=true`}
	if diff := cmp.Diff(want, summary(v)); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
}

// counting counts how often a blob is opened.
type counting struct {
	memory
	n int
}

func (c *counting) Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	c.n++
	return c.memory.Open(ctx, d)
}

func TestFactsOfOneLayerAreBounded(t *testing.T) {
	var entries []entry
	many := strings.Repeat("name@1 ", MaxComponents)
	for i := range 4 {
		entries = append(entries, file(fmt.Sprintf("%d.words", i), many))
	}
	got := scanned(t, tarOf(t, entries...))
	if last := got[len(got)-1]; last != `unreadable 0 "" wrong=false` {
		t.Errorf("%q, want a layer that holds too much", last)
	}
}

func TestBidirectionalTextIsRefused(t *testing.T) {
	want := []string{`unreadable 0 "a.words" wrong=false`}
	if diff := cmp.Diff(want, scanned(t, tarOf(t, file("a.words", "a\u202eb@1 c\u009b2J@1")))); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
}

func TestCacheThatOthersMayWriteIsNotUsed(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("a.words", "one@1")))
	m.Config.Digest = "sha256:4567"
	folder := Folder{Path: filepath.Join(t.TempDir(), "layers")}
	var warned []error
	s := New(Config{Extractors: []Extractor{words{}}, Cache: folder, Warn: func(err error) { warned = append(warned, err) }})
	if _, err := s.Scan(t.Context(), m); err != nil || len(warned) > 0 {
		t.Fatal(err, warned)
	}
	if err := os.Chmod(folder.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scan(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(warned) != 1 || !strings.Contains(warned[0].Error(), "others may write") {
		t.Errorf("warnings = %v, want that others may write to the cache", warned)
	}
}

// odd is an extractor that says what a database of a hostile image may hold.
type odd struct{ found inventory.Found }

func (odd) Name() string                                             { return "odd" }
func (odd) Version() int                                             { return 1 }
func (odd) Wants(e image.Entry, _ []byte) bool                       { return e.Path == "odd" }
func (x odd) Extract(context.Context, File) (inventory.Found, error) { return x.found, nil }

// TestKeptFactsLoseNothing: JSON would make another name of one that is no UTF-8,
// and a scan that finds facts in the cache would tell another story.
func TestKeptFactsLoseNothing(t *testing.T) {
	x := odd{inventory.Found{
		Components: []inventory.Component{{Kind: inventory.OS, Type: inventory.Deb, Name: "p", Version: "1"}},
		Owned:      []inventory.Owned{{Path: "bin/a\xff", Package: "p", Type: inventory.Deb}},
	}}
	m, _ := imageOf(tarOf(t, file("odd", "x")), tarOf(t, file("bin/a\xff", "\x7fELF....")))
	m.Config.Digest = "sha256:4567"
	var standing []inventory.Tally
	cache := Folder{Path: filepath.Join(t.TempDir(), "layers")}
	for range 2 {
		v, err := New(Config{Extractors: []Extractor{x}, Cache: cache}).Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if standing == nil {
			standing = v.Accounts.Tallies
		}
		if diff := cmp.Diff(standing, v.Accounts.Tallies); diff != "" {
			t.Errorf("kept facts say otherwise (-fresh +kept):\n%s", diff)
		}
	}
}

// TestFactsWithoutADigestAreNotKept: they would be those of every folder.
func TestFactsWithoutADigestAreNotKept(t *testing.T) {
	s := New(Config{Extractors: []Extractor{words{}}, Cache: Folder{Path: filepath.Join(t.TempDir(), "layers")}})
	for _, name := range []string{"one", "two"} {
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, "a.words"), []byte(name+"@1"), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := (&image.Opener{Loose: true}).Open(t.Context(), "dir:"+root, "")
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{name + "@1 0 a.words words"}, summary(v)); diff != "" {
			t.Errorf("inventory (-want +got):\n%s", diff)
		}
	}
}

// TestTextOfEveryFieldIsChecked: what is not plain is refused or made plain.
func TestTextOfEveryFieldIsChecked(t *testing.T) {
	one := inventory.Component{Kind: inventory.Native, Type: inventory.Generic, Name: "x", Version: "1"}
	cpe, vendor := one, one
	cpe.CPE = "cpe:2.3:a:\x1b[2J"
	vendor.Vendor = "\x1b[2Jme"
	found := inventory.Found{
		Components: []inventory.Component{cpe, vendor},
		Claimed:    []inventory.Claim{{Component: cpe}, {Component: one}},
		Terms:      []inventory.Terms{{Package: "x", Licences: []string{"M\x07IT"}}},
	}
	if err := check(&found); err == nil {
		t.Error("a control character in a CPE is not reported")
	}
	vendor.Vendor = "\uFFFD[2Jme"
	want := inventory.Found{
		Components: []inventory.Component{vendor},
		Claimed:    []inventory.Claim{{}, {Component: one}},
		Terms:      []inventory.Terms{{Package: "x", Licences: []string{"M\uFFFDIT"}}},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}
