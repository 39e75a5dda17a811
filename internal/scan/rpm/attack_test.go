package rpm

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/scan/scantest"
)

// value is one tag of a header that a test makes.
type value struct {
	tag, typ, count uint32
	data            []byte
}

func text(tag uint32, s string) value { return value{tag, typeString, 1, append([]byte(s), 0)} }

// headerOf writes a header.
func headerOf(values ...value) []byte {
	var index, data []byte
	for _, v := range values {
		for _, n := range []uint32{v.tag, v.typ, uint32(len(data)), v.count} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		data = append(data, v.data...)
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(values)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	return append(append(out, index...), data...)
}

// within fails the test if reading the database takes longer than it may.
func within(t *testing.T, path string, db []byte) error {
	t.Helper()
	start := time.Now()
	_, err := Extractor{}.Extract(t.Context(), scantest.File(path, db))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	return err
}

const packagesDB = "usr/lib/sysimage/rpm/Packages.db"

func TestNameTwiceInHeaderIsRefused(t *testing.T) {
	h := headerOf(text(tagName, "openssl"), text(tagVersion, "1"), text(tagRelease, "1"), text(tagName, "harmless"))
	if err := within(t, packagesDB, ndb([][]byte{h})); err == nil {
		t.Error("two names are taken")
	}
}

func TestManyTagsOverOneLongValueTakeNoTime(t *testing.T) {
	values := []value{text(tagName, "a"), text(tagVersion, "1")}
	for range 60_000 {
		values = append(values, value{tagLicence, typeString, 1, nil})
	}
	values = append(values, value{1, typeString, 1, bytes.Repeat([]byte("x"), 16<<20)})
	if err := within(t, packagesDB, ndb([][]byte{headerOf(values...)})); err == nil {
		t.Error("sixty thousand licences are taken")
	}
}

func TestFoldersAndFilesOfOneHeaderAreBounded(t *testing.T) {
	const files = 200_000
	folder := "/usr/lib/python3/" + strings.Repeat("x", 1<<20) + "/\x00"
	h := headerOf(text(tagName, "a"), text(tagVersion, "1"),
		value{tagDirNames, typeStringArray, 1, []byte(folder)},
		value{tagBaseNames, typeStringArray, files, bytes.Repeat([]byte("a.egg-info\x00"), files)},
		value{tagDirIndexes, typeInt32, files, make([]byte, 4*files)})
	if err := within(t, packagesDB, ndb([][]byte{h})); err != nil {
		t.Error(err)
	}
	empty := headerOf(text(tagName, "a"), text(tagVersion, "1"),
		value{tagDirNames, typeStringArray, 1, make([]byte, 32<<20)},
		value{tagBaseNames, typeStringArray, 1, []byte("a.egg-info\x00")},
		value{tagDirIndexes, typeInt32, 1, []byte{0x7f, 0xff, 0xff, 0xff}})
	if err := within(t, packagesDB, ndb([][]byte{empty})); err != nil {
		t.Error(err)
	}
}

func TestChainOfBerkeleyDBThatLoopsTakesNoTime(t *testing.T) {
	const size, pages = 64 << 10, 800
	db := make([]byte, size*pages)
	put32, put16 := binary.LittleEndian.PutUint32, binary.LittleEndian.PutUint16
	put32(db[12:], bdbHashMagic)
	put32(db[20:], size)
	put32(db[32:], pages-1)
	hash := db[size : 2*size]
	hash[bdbType] = pageHash
	put16(hash[bdbEntries:], 2)
	put16(hash[bdbHeader:], size-1) // the key's
	put16(hash[bdbHeader+2:], size-13)
	item := hash[size-13:]
	item[0] = itemOffPage
	put32(item[4:], 2)
	put32(item[8:], size*(pages-1)) // bytes
	chain := db[2*size : 3*size]
	chain[bdbType] = pageOverflow
	put16(chain[bdbUsed:], 1)
	put32(chain[bdbNext:], 2)
	if err := within(t, "var/lib/rpm/Packages", db); err == nil || !strings.Contains(err.Error(), "chain") {
		t.Errorf("err = %v, want one about the chain", err)
	}
}
