package inventory

import "encoding/binary"

// Paths is a list of the entries of a layer, each a path and whether it is a
// directory. A path is written as the length that it shares with the one before
// it and the rest, which makes a layer of a hundred thousand entries two
// megabytes.
type Paths []byte

// PathsWriter appends to [Paths]. The zero value is ready.
type PathsWriter struct {
	buf  []byte
	last string
}

// Add appends one path.
func (w *PathsWriter) Add(path string, dir bool) {
	shared := 0
	for shared < len(path) && shared < len(w.last) && path[shared] == w.last[shared] {
		shared++
	}
	head := uint64(len(path)-shared) << 1 // #nosec G115 -- shared is at most len(path)
	if dir {
		head |= 1
	}
	w.buf = binary.AppendUvarint(w.buf, head)
	w.buf = binary.AppendUvarint(w.buf, uint64(shared))
	w.buf = append(w.buf, path[shared:]...)
	w.last = path
}

// Len returns the bytes that were written.
func (w *PathsWriter) Len() int { return len(w.buf) }

// Paths returns what was written.
func (w *PathsWriter) Paths() Paths { return w.buf }

// Each calls fn with every path, in order. path is valid only during the call.
// It reports false if the list is malformed.
func (p Paths) Each(fn func(path []byte, dir bool)) bool {
	var path []byte
	for len(p) > 0 {
		head, n := binary.Uvarint(p)
		if n <= 0 {
			return false
		}
		shared, m := binary.Uvarint(p[n:])
		if m <= 0 || shared > uint64(len(path)) {
			return false
		}
		p = p[n+m:]
		if head>>1 > uint64(len(p)) {
			return false
		}
		path = append(path[:shared], p[:head>>1]...)
		p = p[head>>1:]
		fn(path, head&1 == 1)
	}
	return true
}
