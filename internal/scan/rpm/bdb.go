package rpm

import (
	"encoding/binary"

	"plimsoll/internal/fault"
)

// Pages of a Berkeley DB (dbinc/db_page.h): 26 bytes of header, then, on pages
// of a hash, offsets of keys and values in turn.
const (
	bdbHashMagic = 0x061561
	bdbHeader    = 26
	bdbNext      = 16 // offset of the number of the page that goes on
	bdbEntries   = 20
	bdbUsed      = 22 // offset of the number of bytes on an overflow page
	bdbType      = 25

	pageHashUnsorted = 2
	pageOverflow     = 7
	pageHash         = 13

	itemInline  = 1
	itemOffPage = 3
)

// bdb is a Berkeley DB of the kind hash.
type bdb struct {
	*source
	order binary.ByteOrder
	size  int64 // bytes of a page
	last  uint32
	page  []byte // the page that is looked at
	chain []byte // a page that it leads to
	seen  []bool // pages of chains that were visited
}

// isBDB reports whether head begins a hash, in either byte order.
func isBDB(head []byte) bool {
	return binary.LittleEndian.Uint32(head[12:]) == bdbHashMagic || binary.BigEndian.Uint32(head[12:]) == bdbHashMagic
}

// readBDB reads a Berkeley DB. Packages are the values of the hash, nearly
// always too large for its pages and kept on a chain of others.
func readBDB(s *source, fn func(header []byte) error) error {
	meta := make([]byte, 72)
	if err := s.at(meta, 0); err != nil {
		return err
	}
	db := &bdb{source: s, order: binary.LittleEndian}
	if binary.BigEndian.Uint32(meta[12:]) == bdbHashMagic {
		db.order = binary.BigEndian
	}
	db.size, db.last = int64(db.order.Uint32(meta[20:])), db.order.Uint32(meta[32:])
	if db.size < 512 || db.size > 64<<10 || db.size&(db.size-1) != 0 {
		return fault.Errorf(fault.Invalid, "a Berkeley DB with pages of %d bytes", db.size)
	}
	if meta[24] != 0 {
		return fault.Errorf(fault.Invalid, "the Berkeley DB is encrypted")
	}
	db.seen = make([]bool, s.Size()/db.size+1)
	db.page, db.chain = make([]byte, db.size), make([]byte, db.size)
	for n := int64(1); n <= int64(db.last); n++ {
		if err := db.at(db.page, n*db.size); err != nil {
			return err
		}
		if t := db.page[bdbType]; t != pageHash && t != pageHashUnsorted {
			continue
		}
		if err := db.hashPage(fn); err != nil {
			return err
		}
	}
	return nil
}

// hashPage reads the values on the present page.
func (db *bdb) hashPage(fn func(header []byte) error) error {
	entries := int(db.order.Uint16(db.page[bdbEntries:]))
	if bdbHeader+2*entries > len(db.page) {
		return fault.Errorf(fault.Invalid, "a page of the Berkeley DB has %d entries", entries)
	}
	for i := 1; i < entries; i += 2 {
		at := int(db.order.Uint16(db.page[bdbHeader+2*i:]))
		end := int(db.order.Uint16(db.page[bdbHeader+2*(i-1):])) // items fill the page from its end
		if at < bdbHeader+2*entries || at >= end || end > len(db.page) {
			return fault.Errorf(fault.Invalid, "an entry of the Berkeley DB lies at %d on its page", at)
		}
		header, err := db.value(db.page[at:end])
		if err != nil {
			return err
		}
		if len(header) <= introSize {
			continue // the highest number of a package, under the key 0
		}
		if err := fn(header); err != nil {
			return err
		}
	}
	return nil
}

// value returns what an item holds or points to.
func (db *bdb) value(item []byte) ([]byte, error) {
	switch item[0] {
	case itemInline:
		b, err := db.take(int64(len(item) - 1))
		copy(b, item[1:])
		return b, err
	case itemOffPage:
		if len(item) < 12 {
			return nil, fault.Errorf(fault.Invalid, "an entry of the Berkeley DB is cut short")
		}
		return db.overflow(db.order.Uint32(item[4:]), int64(db.order.Uint32(item[8:])))
	}
	return nil, fault.Errorf(fault.Invalid, "an entry of the Berkeley DB is of kind %d", item[0])
}

// overflow gathers size bytes from the chain that begins at page n.
func (db *bdb) overflow(n uint32, size int64) ([]byte, error) {
	out, err := db.take(size)
	if err != nil {
		return nil, err
	}
	for rest := out; len(rest) > 0; n = db.order.Uint32(db.chain[bdbNext:]) {
		if n == 0 || n > db.last || int64(n) >= int64(len(db.seen)) || db.seen[n] {
			return nil, fault.Errorf(fault.Invalid, "a chain of the Berkeley DB leads to page %d", n)
		}
		db.seen[n] = true
		if err := db.at(db.chain, int64(n)*db.size); err != nil {
			return nil, err
		}
		used := int(db.order.Uint16(db.chain[bdbUsed:]))
		if db.chain[bdbType] != pageOverflow || used == 0 || bdbHeader+used > len(db.chain) {
			return nil, fault.Errorf(fault.Invalid, "page %d of the Berkeley DB is not a part of a chain", n)
		}
		rest = rest[copy(rest, db.chain[bdbHeader:bdbHeader+used]):]
	}
	return out, nil
}
