package scan

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHostileEntries: an entry that is malformed is reported, and what comes
// before and after it is read.
func TestHostileEntries(t *testing.T) {
	for name, e := range map[string]entry{
		"parent":                        file("../../etc/passwd.words", "evil@6"),
		"parent in the middle":          file("a/../../b.words", "evil@6"),
		"NUL in an overlong name":       file(strings.Repeat("x/", 300)+"b.words", "evil@6"),
		"hard link to the outside":      hardlink("c", "../../etc/shadow"),
		"a whiteout with files":         file(".wh.dir/x", ""),
		"an AUFS name":                  file(".wh..wh.plnk", ""),
		"a device that is a whiteout":   {name: "null", typ: tar.TypeChar},
		"a symlink that leads nowhere":  {name: "ln", typ: tar.TypeSymlink},
		"a hard link to a whiteout":     hardlink("c", ".wh.a"),
		"a hard link to the root":       hardlink("c", "."),
		"a type that nobody knows":      {name: "odd", typ: 'Z'},
		"a whiteout of its own folder":  file("d/.wh...", ""),
		"a whiteout of nothing, nested": file("d/.wh.", ""),
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := imageOf(tarOf(t, file("a.words", "one@1"), e, file("z.words", "two@2")))
			v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			got := summary(v)
			if len(got) != 3 || !strings.HasPrefix(got[2], "unreadable 0") {
				t.Errorf("got %q, want both components and one unreadable part", got)
			}
			if diff := cmp.Diff([]string{"one@1 0 a.words words", "two@2 0 z.words words"}, got[:min(2, len(got))]); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStrangeNamesAreNoTrouble: newlines, escapes and bytes that are no UTF-8
// are names like others.
func TestStrangeNamesAreNoTrouble(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("a\nb.words", "one@1"), file("\xff\xfe.words", "two@1"), file("\x1b[31m.words", "three@1"), file("-rf.words", "four@1")))
	v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
	if err != nil || len(v.Components) != 4 || len(v.Unreadable) != 0 {
		t.Errorf("%v, %q, want four components", err, summary(v))
	}
}

// TestLinkCyclesEnd: links that lead to each other, or to themselves, lead to
// nothing.
func TestLinkCyclesEnd(t *testing.T) {
	m, _ := imageOf(tarOf(t, symlink("a", "b"), symlink("b", "a"), symlink("lib", "lib"), symlink("etc", "etc/x"), hardlink("h", "h"), hardlink("i", "k"), hardlink("k", "i"), file("x.words", "one@1")))
	v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
	if err != nil || len(v.Components) != 1 {
		t.Errorf("%v, %q, want one component", err, summary(v))
	}
}

// TestTooManyProgramsAreReported: files that can run and are too many to list
// make the layer unreadable in part, and hide nothing else.
func TestTooManyProgramsAreReported(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range maxPrograms + 4 {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("bin/%d", i), Size: 3, Mode: 0o755, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("#!x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ReadFrom(bytes.NewReader(tarOf(t, file("z.words", "one@1")))); err != nil {
		t.Fatal(err)
	}
	m, _ := imageOf(b.Bytes())
	v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if v.Accounts.Files != maxPrograms || len(v.Unreadable) != 1 || !strings.Contains(v.Unreadable[0].Reason, "4 files that can run") || len(v.Components) != 1 {
		t.Errorf("%d files, unreadable %v, components %v", v.Accounts.Files, v.Unreadable, summary(v))
	}
}

// TestTornLayer: a layer that ends anywhere is reported as such and never
// panics, and what came before the end is there.
func TestTornLayer(t *testing.T) {
	whole := tarOf(t, file("a.words", "one@1"), file("run", "\x7fELF"+strings.Repeat("x", 3000)), file("z.words", "two@2"))
	for range 200 {
		n := rand.IntN(len(whole))
		m, blobs := imageOf(whole)
		blobs[m.Layers[0].Digest] = whole[:n]
		v, err := New(Config{Extractors: []Extractor{words{}}}).Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Unreadable) == 0 || !v.Unreadable[0].Wrong {
			t.Fatalf("cut at %d: unreadable = %v, want wrong bytes", n, v.Unreadable)
		}
		if n > 1600 && (len(v.Components) == 0 || v.Components[0].Name != "one") {
			t.Fatalf("cut at %d: components = %v, want the first", n, summary(v))
		}
	}
}
