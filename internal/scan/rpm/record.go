package rpm

import "plimsoll/internal/fault"

// split returns the columns of an SQLite record ("Record Format"): the size of
// its head, the kinds of the columns, and their content.
func split(record []byte) ([][]byte, error) {
	size, n := varint(record)
	if n == 0 || size < int64(n) || size > int64(len(record)) {
		return nil, fault.Errorf(fault.Invalid, "a row of the SQLite database is cut short")
	}
	kinds, body := record[n:size], record[size:]
	var columns [][]byte
	for len(kinds) > 0 {
		kind, n := varint(kinds)
		if n == 0 {
			return nil, fault.Errorf(fault.Invalid, "a row of the SQLite database is cut short")
		}
		kinds = kinds[n:]
		width := width(kind)
		if width < 0 || width > int64(len(body)) {
			return nil, fault.Errorf(fault.Invalid, "a column of the SQLite database is longer than its row")
		}
		columns, body = append(columns, body[:width]), body[width:]
	}
	return columns, nil
}

// width returns the bytes of a column of the given kind, negative if there is
// no such kind. The integers 0 and 1, which take none, are not met in rpm's
// tables where they matter.
func width(kind int64) int64 {
	switch {
	case kind < 0, kind == 10, kind == 11:
		return -1
	case kind <= 4:
		return kind
	case kind == 5:
		return 6
	case kind <= 7:
		return 8
	case kind <= 9:
		return 0
	}
	return (kind - 12) / 2
}

// integer reads a big-endian number; those of the schema are positive.
func integer(b []byte) int64 {
	if len(b) > 8 {
		return 0
	}
	var v int64
	for _, c := range b {
		v = v<<8 | int64(c)
	}
	return v
}

// varint reads a number of SQLite's form, seven bits a byte and eight in the
// ninth, and the bytes that it took: 0 if it is cut short.
func varint(b []byte) (v int64, n int) {
	for n < len(b) && n < 8 {
		c := b[n]
		n++
		v = v<<7 | int64(c&0x7f)
		if c < 0x80 {
			return v, n
		}
	}
	if n < 8 || n >= len(b) {
		return 0, 0
	}
	return v<<8 | int64(b[n]), 9
}
