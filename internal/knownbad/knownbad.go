// Package knownbad knows files by their hash that somebody has found to be
// harmful: miners, back doors, exploits.
//
// Lists of them are text, one file a line: an MD5, SHA-1 or SHA-256 in
// hexadecimal digits, then a semicolon, a comma or space, and a name. That is
// what sha256sum(1) writes and what collections of indicators are published as.
// A hash says nothing about a file that differs in one byte: a clean answer means
// only that nobody has listed these very bytes.
package knownbad

import (
	"bytes"
	"encoding/hex"
	"sort"

	"plimsoll/internal/inventory"
)

// algorithm is one of those of hashes in lists, told apart by their size.
type algorithm struct {
	name string
	size int // bytes
}

var algorithms = []algorithm{{"md5", 16}, {"sha1", 20}, {"sha256", 32}}

// List is what some lists say, in the order of the hashes. It takes the size of
// each hash and four bytes more, and the names. The zero value is empty. It may
// be used concurrently.
type List struct {
	tables map[string]*table // by algorithm
	names  []string

	version string
}

var _ inventory.Bad = (*List)(nil)

// Len returns how many hashes are known.
func (l *List) Len() int {
	n := 0
	for _, t := range l.tables {
		n += t.Len()
	}
	return n
}

// Lookup implements [inventory.Bad]: it returns what a file of this content is
// called, "" if nobody listed it.
func (l *List) Lookup(sums inventory.Sums) string {
	for _, s := range []struct{ algorithm, digits string }{{"sha256", sums.SHA256}, {"sha1", sums.SHA1}, {"md5", sums.MD5}} {
		t := l.tables[s.algorithm]
		if t == nil || len(s.digits) != 2*t.size {
			continue
		}
		digest, err := hex.DecodeString(s.digits)
		if err != nil {
			continue
		}
		if i := t.search(digest); i < t.Len() && bytes.Equal(t.at(i), digest) {
			return l.names[t.names[i]]
		}
	}
	return ""
}

// Version implements [inventory.Bad]: lists that say the same
// have the same.
func (l *List) Version() string { return l.version }

// table is the hashes of one algorithm and, for each, the place of its name. It
// implements [sort.Interface].
type table struct {
	size    int // bytes of a hash
	digests []byte
	names   []uint32
	swap    []byte // room for one hash
}

func (t *table) at(i int) []byte { return t.digests[i*t.size : (i+1)*t.size] }

// search returns the place of the first hash that is not before digest.
func (t *table) search(digest []byte) int {
	return sort.Search(t.Len(), func(i int) bool { return bytes.Compare(t.at(i), digest) >= 0 })
}

// Len implements [sort.Interface].
func (t *table) Len() int { return len(t.names) }

// Less implements [sort.Interface]. Of equal hashes the one that was named
// first is first.
func (t *table) Less(i, k int) bool {
	c := bytes.Compare(t.at(i), t.at(k))
	return c < 0 || c == 0 && t.names[i] < t.names[k]
}

// Swap implements [sort.Interface].
func (t *table) Swap(i, k int) {
	t.swap = append(t.swap[:0], t.at(i)...)
	copy(t.at(i), t.at(k))
	copy(t.at(k), t.swap)
	t.names[i], t.names[k] = t.names[k], t.names[i]
}
