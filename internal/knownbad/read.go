package knownbad

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"unicode"

	"plimsoll/internal/fault"
)

const (
	maxHashes = 8 << 20  // of all lists
	maxLine   = 16 << 10 // bytes
	maxName   = 200      // bytes of a name that are kept
	unnamed   = "listed without a name"
)

// empty are the hashes of a file without content. Lists hold them by mistake,
// and every image has such files.
var empty = []string{
	"d41d8cd98f00b204e9800998ecf8427e",
	"da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}

// Reader reads lists. The zero value is ready.
type Reader struct {
	list   List
	places map[string]uint32 // of names
	count  int
}

// Read adds what one list says. Lines that are empty or begin with "#" say
// nothing. Any other that does not begin with a hash, or with that of an empty
// file, is Invalid, with its number: a list that is read in part protects in
// part.
func (r *Reader) Read(list io.Reader) error {
	lines := bufio.NewScanner(list)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\uFEFF")))
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := r.add(line); err != nil {
			return fault.Errorf(fault.Invalid, "line %d: %w", n, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fault.Errorf(fault.Invalid, "line %d is longer than %d bytes", n+1, maxLine)
	} else if err != nil {
		return err
	}
	return nil
}

// add takes one line.
func (r *Reader) add(line []byte) error {
	end := bytes.IndexAny(line, ";, \t")
	if end < 0 {
		end = len(line)
	}
	digits := bytes.ToLower(line[:end])
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return 2*a.size == len(digits) })
	digest, err := hex.DecodeString(string(digits))
	switch {
	case i < 0 || err != nil:
		return fault.Errorf(fault.Invalid, "%.80q is no MD5, SHA-1 or SHA-256", digits)
	case slices.Contains(empty, string(digits)):
		return fault.Errorf(fault.Invalid, "%q is the hash of every empty file", digits)
	}
	if r.count++; r.count > maxHashes {
		return fault.Errorf(fault.Invalid, "the lists have more than %d hashes", maxHashes)
	}
	a := algorithms[i]
	if r.list.tables == nil {
		r.list.tables, r.places = map[string]*table{}, map[string]uint32{}
	}
	t := r.list.tables[a.name]
	if t == nil {
		t = &table{size: a.size}
		r.list.tables[a.name] = t
	}
	t.digests = append(t.digests, digest...)
	t.names = append(t.names, r.name(line[end:]))
	return nil
}

// name returns the place of a name, which many hashes may have.
func (r *Reader) name(b []byte) uint32 {
	b = bytes.TrimLeft(b, ";,* \t")
	name := strings.ToValidUTF8(string(b[:min(len(b), maxName)]), "\uFFFD")
	name = strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.Cc, unicode.Cf) {
			return '\uFFFD'
		}
		return c
	}, name)
	if name == "" {
		name = unnamed
	}
	place, ok := r.places[name]
	if !ok {
		place = uint32(len(r.list.names)) // #nosec G115 -- at most maxHashes
		r.places[name] = place
		r.list.names = append(r.list.names, name)
	}
	return place
}

// List returns what was read, and empties the reader.
func (r *Reader) List() *List {
	l := r.list
	*r = Reader{}
	sum := sha256.New()
	for _, a := range algorithms {
		if t := l.tables[a.name]; t != nil {
			sort.Sort(t)
			sum.Write(t.digests)
			for _, place := range t.names {
				fmt.Fprintf(sum, "%q", l.names[place])
			}
		}
	}
	l.version = hex.EncodeToString(sum.Sum(nil))
	return &l
}
