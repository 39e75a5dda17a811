package java

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // the form that tables of Java archives come in, no security
	_ "embed"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"sync"

	"plimsoll/internal/fault"
)

//go:embed debian.tsv
var debianRows string

// builtIn are the hashes of archives in Debian's packages that carry no record of
// Maven's. A build by somebody else has another hash.
var builtIn = sync.OnceValue(func() Hashes {
	t, err := ReadHashes(strings.NewReader(debianRows))
	if err != nil {
		panic(err) // a test reads it
	}
	return t
})

// Hashes is a table of Java archives by their SHA-1. It may be used concurrently.
type Hashes interface {
	// Lookup returns the Maven coordinates of the archive with that sum.
	Lookup(sum [sha1.Size]byte) (group, artifact, version string, ok bool)
	// Edition tells two tables with different rows apart.
	Edition() uint32
}

const (
	maxHashLine = 4096
	maxHashes   = 1 << 24 // rows
)

// table is a list of rows by sum.
type table struct {
	rows    map[[sha1.Size]byte]coordinates
	edition uint32
}

// ReadHashes reads a table: a line for each archive with its SHA-1 in
// hexadecimal, its group, artifact and version, separated by tabs; lines that
// begin with a number sign are comments. A malformed line is Invalid.
func ReadHashes(r io.Reader) (Hashes, error) {
	sum := crc32.NewIEEE()
	lines := bufio.NewScanner(io.TeeReader(r, sum))
	lines.Buffer(make([]byte, 0, 1024), maxHashLine)
	t := &table{rows: map[[sha1.Size]byte]coordinates{}}
	for n := 1; lines.Scan(); n++ {
		if line := lines.Text(); line != "" && line[0] != '#' {
			if err := t.add(line); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read table of hashes: %w", err)
	}
	t.edition = sum.Sum32()
	return t, nil
}

func (t *table) add(line string) error {
	f := strings.Split(line, "\t")
	if len(f) != 4 || len(f[0]) != 2*sha1.Size || f[1] == "" || f[2] == "" || f[3] == "" {
		return fault.Errorf(fault.Invalid, "%.80q is not a SHA-1, group, artifact and version", line)
	}
	sum, err := hex.DecodeString(f[0])
	if err != nil {
		return fault.Errorf(fault.Invalid, "%q is not hexadecimal", f[0])
	}
	if len(t.rows) == maxHashes {
		return fault.Errorf(fault.Invalid, "more than %d rows", maxHashes)
	}
	t.rows[[sha1.Size]byte(sum)] = coordinates{f[1], f[2], f[3]}
	return nil
}

// Lookup implements [Hashes].
func (t *table) Lookup(sum [sha1.Size]byte) (group, artifact, version string, ok bool) {
	c, ok := t.rows[sum]
	return c.group, c.artifact, c.version, ok
}

// Edition implements [Hashes].
func (t *table) Edition() uint32 { return t.edition }
