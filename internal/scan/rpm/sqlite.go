package rpm

import (
	"encoding/binary"

	"plimsoll/internal/fault"
)

// Parts of an SQLite file (sqlite.org/fileformat2.html).
const (
	sqliteHeader   = 100
	sqliteEncoding = 56
	sqliteUTF8     = 1
	tableInterior  = 5
	tableLeaf      = 13
	maxDepth       = 20
)

// sqlite is a database file. Each page of the trees that are walked is visited
// once at most.
type sqlite struct {
	*source
	size    int64 // bytes of a page
	usable  int64 // of those, for content
	pages   int64
	visited []bool
}

// readSQLite reads the column blob of the table Packages.
func readSQLite(s *source, fn func(header []byte) error) error {
	head := make([]byte, sqliteHeader)
	if err := s.at(head, 0); err != nil {
		return err
	}
	db := &sqlite{source: s, size: int64(binary.BigEndian.Uint16(head[16:]))}
	if db.size == 1 {
		db.size = 64 << 10
	}
	db.usable = db.size - int64(head[20])
	if db.size < 512 || db.size&(db.size-1) != 0 || db.usable < 480 {
		return fault.Errorf(fault.Invalid, "an SQLite database with pages of %d bytes", db.size)
	}
	if binary.BigEndian.Uint32(head[sqliteEncoding:]) != sqliteUTF8 {
		return fault.Errorf(fault.Invalid, "the SQLite database is not in UTF-8")
	}
	db.pages = s.Size() / db.size
	db.visited = make([]bool, db.pages+1)
	root, err := db.table("Packages")
	if err != nil {
		return err
	}
	return db.walk(root, 0, func(record []byte) error {
		columns, err := split(record)
		if err != nil {
			return err
		}
		if len(columns) < 2 {
			return fault.Errorf(fault.Invalid, "a row of Packages has %d columns", len(columns))
		}
		return fn(columns[1])
	})
}

// table returns the root page of a table: columns type, name, tbl_name and
// rootpage of the schema, whose root is page 1.
func (db *sqlite) table(name string) (root int64, err error) {
	err = db.walk(1, 0, func(record []byte) error {
		c, err := split(record)
		if err != nil {
			return err
		}
		if len(c) >= 4 && string(c[0]) == "table" && string(c[1]) == name {
			if root != 0 {
				return fault.Errorf(fault.Invalid, "the SQLite database has two tables %q", name)
			}
			root = integer(c[3])
		}
		return nil
	})
	if err == nil && root == 0 {
		err = fault.Errorf(fault.Invalid, "the SQLite database has no table %q", name)
	}
	return root, err
}

// walk calls fn with each record below page n.
func (db *sqlite) walk(n int64, depth int, fn func(record []byte) error) error {
	if n < 1 || n > db.pages || depth > maxDepth || db.visited[n] {
		return fault.Errorf(fault.Invalid, "a tree of the SQLite database leads to page %d", n)
	}
	db.visited[n] = true
	page := make([]byte, db.size)
	if err := db.at(page, (n-1)*db.size); err != nil {
		return err
	}
	head := 0
	if n == 1 {
		head = sqliteHeader
	}
	kind, cells := page[head], int(binary.BigEndian.Uint16(page[head+3:]))
	first := head + 8
	if kind == tableInterior {
		first = head + 12
	}
	if kind != tableLeaf && kind != tableInterior || first+2*cells > len(page) {
		return fault.Errorf(fault.Invalid, "page %d of the SQLite database is not part of a table", n)
	}
	for i := range cells {
		at := int64(binary.BigEndian.Uint16(page[first+2*i:]))
		if at+4 > db.usable {
			return fault.Errorf(fault.Invalid, "a cell of the SQLite database lies at %d on its page", at)
		}
		var err error
		if kind == tableLeaf {
			err = db.cell(page[at:db.usable], fn)
		} else {
			err = db.walk(int64(binary.BigEndian.Uint32(page[at:])), depth+1, fn)
		}
		if err != nil {
			return err
		}
	}
	if kind == tableInterior {
		return db.walk(int64(binary.BigEndian.Uint32(page[head+8:])), depth+1, fn)
	}
	return nil
}

// cell reads one row: length, number, and as much of the record as fits
// ("Cell Payload Overflow Pages" says how much), the rest on a chain.
func (db *sqlite) cell(b []byte, fn func(record []byte) error) error {
	size, n := varint(b)
	_, m := varint(b[n:])
	if n == 0 || m == 0 {
		return fault.Errorf(fault.Invalid, "a cell of the SQLite database is cut short")
	}
	b = b[n+m:]
	record, err := db.take(size)
	if err != nil {
		return err
	}
	local := size
	if most := db.usable - 35; size > most {
		least := (db.usable-12)*32/255 - 23
		if local = least + (size-least)%(db.usable-4); local > most {
			local = least
		}
	}
	if local > int64(len(b)) || local < size && local+4 > int64(len(b)) {
		return fault.Errorf(fault.Invalid, "a cell of the SQLite database is cut short")
	}
	copy(record, b[:local])
	if local < size {
		if err := db.overflow(int64(binary.BigEndian.Uint32(b[local:])), record[local:]); err != nil {
			return err
		}
	}
	return fn(record)
}

// overflow fills rest from the chain that begins at page n.
func (db *sqlite) overflow(n int64, rest []byte) error {
	next := make([]byte, 4)
	for len(rest) > 0 {
		if n < 1 || n > db.pages {
			return fault.Errorf(fault.Invalid, "a chain of the SQLite database leads to page %d", n)
		}
		start, size := (n-1)*db.size, min(int64(len(rest)), db.usable-4)
		if err := db.at(next, start); err != nil {
			return err
		}
		if err := db.at(rest[:size], start+4); err != nil {
			return err
		}
		rest, n = rest[size:], int64(binary.BigEndian.Uint32(next))
	}
	return nil
}
