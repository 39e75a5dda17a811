package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"plimsoll/internal/fault"
)

// database writes one with bolt's own library: buckets of n keys each, so small
// ones lie in their parent's page and large ones have branches, and a value that
// flows over.
func database(t testing.TB, sizes ...int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meta.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range sizes {
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(fmt.Appendf(nil, "bucket %d", n))
			if err != nil {
				return err
			}
			for i := range n {
				if err := b.Put(fmt.Appendf(nil, "key %d", i), fmt.Appendf(nil, "value %d of %d", i, n)); err != nil {
					return err
				}
			}
			inner, err := b.CreateBucket([]byte("inner"))
			if err != nil {
				return err
			}
			return inner.Put([]byte("long"), bytes.Repeat([]byte{byte(n)}, 10_000))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBoltReadsWhatBoltWrites(t *testing.T) {
	sizes := []int{0, 1, 30, 5000}
	b, err := openBolt(database(t, sizes...))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	err = b.View(func(tx *boltTx) error {
		names, err := (&boltBucket{tx: tx, root: tx.root}).Names(10)
		if diff := cmp.Diff([]string{"bucket 0", "bucket 1", "bucket 30", "bucket 5000"}, names); diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		for _, n := range sizes {
			bucket, err := tx.Bucket(fmt.Sprintf("bucket %d", n))
			if err != nil {
				return err
			}
			for i := range n {
				if v, err := bucket.Get(fmt.Sprintf("key %d", i)); err != nil || string(v) != fmt.Sprintf("value %d of %d", i, n) {
					t.Errorf("key %d of %d: %q, %v", i, n, v, err)
				}
			}
			inner, err := bucket.Bucket("inner")
			if err != nil {
				return err
			}
			if v, err := inner.Get("long"); err != nil || len(v) != 10_000 || v[9999] != byte(n) {
				t.Errorf("long value of %d: %d bytes, %v", n, len(v), err)
			}
			for _, missing := range []string{"", "kex", "zzz"} {
				if _, err := bucket.Get(missing); !fault.Is(err, fault.NotFound) {
					t.Errorf("%q: %v", missing, err)
				}
			}
			if _, err := bucket.Get("inner"); !fault.Is(err, fault.Invalid) {
				t.Errorf("a bucket taken for a value: %v", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBoltLooksAgainAfterACommit(t *testing.T) {
	path := database(t, 1)
	b, err := openBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	looks := 0
	var names []string
	err = b.View(func(tx *boltTx) error {
		if looks++; looks == 1 {
			commit(t, path)
			return fault.Errorf(fault.Invalid, "a page is damaged") // as it may seem meanwhile
		}
		names, err = (&boltBucket{tx: tx, root: tx.root}).Names(10)
		return err
	})
	if err != nil || looks != 2 || !slices.Contains(names, "new") {
		t.Errorf("%d looks, %v, %q", looks, err, names)
	}
	err = b.View(func(*boltTx) error { commit(t, path); return nil })
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("a database that never rests: %v", err)
	}
}

func commit(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucketIfNotExists([]byte("new")); return err })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBoltRefusesBranchesInCircles(t *testing.T) {
	path := database(t, 5000)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for at := 0; at < len(b); at += page { // every branch leads to itself
		if binary.NativeEndian.Uint16(b[at+8:]) != branchPage {
			continue
		}
		for i := range int(binary.NativeEndian.Uint16(b[at+10:])) {
			binary.NativeEndian.PutUint64(b[at+16*(i+1)+8:], uint64(at/page))
		}
	}
	db := &bolt{bytes.NewReader(b), int64(len(b)), nil}
	err = db.View(func(tx *boltTx) error {
		bucket, err := tx.Bucket("bucket 5000")
		if err != nil {
			return err
		}
		if _, err := bucket.Get("key 1"); !fault.Is(err, fault.Invalid) {
			t.Errorf("get: %v", err)
		}
		_, err = bucket.Names(10)
		return err
	})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("names: %v", err)
	}
	for _, junk := range []string{"", "no database", strings.Repeat("\xff", 1<<17)} {
		db := &bolt{strings.NewReader(junk), int64(len(junk)), nil}
		if err := db.View(func(*boltTx) error { return nil }); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.10q: %v", junk, err)
		}
	}
}

func FuzzBolt(f *testing.F) {
	b, err := os.ReadFile(database(f, 0, 30, 300))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, uint32(4096*3), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, at uint32, v uint64) {
		if len(b) > 8 { // metas are checksummed, so what is changed is below them
			binary.NativeEndian.PutUint64(b[int(at)%(len(b)-8):], v)
		}
		db := &bolt{bytes.NewReader(b), int64(len(b)), nil}
		_ = db.View(func(tx *boltTx) error {
			_, err := findStored(tx, "", []string{"a"})
			if err == nil {
				_, err = findStored(tx, "bucket 30", []string{"inner"})
			}
			_, _ = (&boltBucket{tx: tx, root: tx.root}).Names(100)
			if bucket, err := tx.Bucket("bucket 300"); err == nil {
				_, _ = bucket.Get("key 77")
			}
			return err
		})
	})
}
