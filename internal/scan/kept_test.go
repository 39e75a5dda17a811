package scan

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/ref"
)

// TestKnownImageIsLookedUp: an image that was scanned before costs no layer, and
// its inventory is the same to the byte, under the name that is asked for now.
func TestKnownImageIsLookedUp(t *testing.T) {
	m, blobs := imageOf(tarOf(t, file("a.words", "one@1 two@2")), tarOf(t, file("a.words", "one@1"), file("run", "\x7fELF....")))
	m.Config.Digest = "sha256:4567"
	folder := Folder{Path: filepath.Join(t.TempDir(), "layers")}
	s := New(Config{Extractors: []Extractor{words{}}, Cache: folder, Warn: func(err error) { t.Error(err) }})
	scan := func() []byte {
		t.Helper()
		v, err := s.Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := scan()
	clear(blobs)
	facts, err := filepath.Glob(filepath.Join(folder.Path, "*"))
	if err != nil || len(facts) != 3 {
		t.Fatalf("%d files are kept, want two layers and an image (%v)", len(facts), err)
	}
	if again := scan(); !bytes.Equal(first, again) {
		t.Errorf("first %s\nagain %s", first, again)
	}
	m.Name = "another"
	if again := scan(); bytes.Equal(first, again) || !bytes.Contains(again, []byte("another")) {
		t.Errorf("the inventory keeps the name %s", again)
	}
}

// TestPoisonedDiffID: what a config claims names no kept facts. An image that
// claims the diff IDs of another's layers gets the facts of its own bytes.
func TestPoisonedDiffID(t *testing.T) {
	good, _ := imageOf(tarOf(t, file("a.words", "good@1")))
	evil, _ := imageOf(tarOf(t, file("a.words", "evil@6")))
	good.Config.Digest, evil.Config.Digest = "sha256:01", "sha256:02"
	evil.Spec.RootFS.DiffIDs = []ref.Digest{good.Spec.RootFS.DiffIDs[0]}
	s := New(Config{Extractors: []Extractor{words{}}, Cache: Folder{Path: filepath.Join(t.TempDir(), "layers")}})
	for _, test := range []struct {
		name string
		want []string
	}{{"good", []string{"good@1 0 a.words words"}}, {"evil", []string{"evil@6 0 a.words words", `unreadable 0 "" wrong=true`}}, {"good", []string{"good@1 0 a.words words"}}} {
		m := good
		if test.name == "evil" {
			m = evil
		}
		v, err := s.Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, summary(v)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

type bad string

func (bad) Lookup(s inventory.Sums) string {
	if s.SHA256 == "" {
		return ""
	}
	return "bad"
}
func (b bad) Version() string { return string(b) }

// TestNewListOfBadFilesIsAsked: a kept inventory does not hide what is known now.
func TestNewListOfBadFilesIsAsked(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("run", "\x7fELF....")))
	m.Config.Digest = "sha256:4567"
	cache := Folder{Path: filepath.Join(t.TempDir(), "layers")}
	for _, b := range []inventory.Bad{nil, bad("2026")} {
		v, err := New(Config{Cache: cache, Bad: b}).Scan(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		want := inventory.Unknown
		if b != nil {
			want = inventory.KnownBad
		}
		if len(v.Accounts.Open) != 1 || v.Accounts.Open[0].Standing != want {
			t.Errorf("with list %v: %+v, want it %s", b, v.Accounts.Open, want)
		}
	}
}

// md5List lists one MD5.
type md5List string

func (l md5List) Lookup(s inventory.Sums) string {
	if s.MD5 == string(l) {
		return "listed"
	}
	return ""
}
func (md5List) Version() string { return "1" }

// TestListOfAnyFormIsAsked: a layer that looks like one of a distribution whose
// database needs no MD5 hides nothing from a list of MD5 sums, also when its facts
// were kept before there was a list.
func TestListOfAnyFormIsAsked(t *testing.T) {
	m, _ := imageOf(tarOf(t, file("etc/alpine-release", "3.19"), file("run", "\x7fELF....")))
	m.Config.Digest = "sha256:4567"
	cache := Folder{Path: filepath.Join(t.TempDir(), "layers")}
	if _, err := New(Config{Cache: cache}).Scan(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("\x7fELF...."))
	v, err := New(Config{Cache: cache, Bad: md5List(hex.EncodeToString(sum[:]))}).Scan(t.Context(), m)
	if err != nil || len(v.Accounts.Open) != 1 || v.Accounts.Open[0].Standing != inventory.KnownBad {
		t.Errorf("%v, %+v: want it known to be bad", err, v.Accounts.Open)
	}
}

// TestFolderIsCapped: what was not used for longest goes first.
func TestFolderIsCapped(t *testing.T) {
	c := Folder{Path: filepath.Join(t.TempDir(), "layers"), Max: 250}
	old := time.Now().Add(-48 * time.Hour)
	for i := range 4 {
		key := fmt.Sprintf("%02d", i)
		if err := c.Put(key, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(c.Path, key+".facts"), old.Add(time.Duration(i)*time.Hour), old.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if _, err := c.Get("00"); err != nil { // used again
				t.Fatal(err)
			}
		}
	}
	for key, want := range map[string]bool{"00": true, "01": false, "02": false, "03": true} {
		if _, err := c.Get(key); (err == nil) != want {
			t.Errorf("%s: %v, want kept=%v", key, err, want)
		}
	}
}

// TestFolderWithManyProcesses: putting, getting and pruning at once fails for
// nobody.
func TestFolderWithManyProcesses(t *testing.T) {
	c := Folder{Path: filepath.Join(t.TempDir(), "layers"), Max: 500}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for k := range 20 {
				key := fmt.Sprintf("%02d", (i+k)%10)
				if err := c.Put(key, bytes.Repeat([]byte(key), 50)); err != nil {
					t.Error(err)
				}
				if b, err := c.Get(key); err == nil && !bytes.Equal(b, bytes.Repeat([]byte(key), 50)) {
					t.Errorf("%s holds %q", key, b)
				}
			}
		})
	}
	group.Wait()
}
