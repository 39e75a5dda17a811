package audit

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/fault"
)

// The height of tiles in c2sp.org/tlog-tiles: 256 hashes or entries in each.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// maxBundle bounds the file of a bundle, in bytes.
const maxBundle = tileWidth * (2 + maxEvent)

// tilePath returns the path of t as c2sp.org/tlog-tiles writes it. The Go
// checksum database, whose [tlog.Tile] this is, has the height in it and calls
// entries data.
func tilePath(t tlog.Tile) string {
	p := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	if t.L == -1 {
		p = "entries" + strings.TrimPrefix(p, "data")
	}
	return tileFolder + "/" + p
}

// parseTilePath is the inverse of tilePath.
func parseTilePath(p string) (tlog.Tile, error) {
	rest, ok := strings.CutPrefix(p, tileFolder+"/")
	if data, entries := strings.CutPrefix(rest, "entries/"); entries {
		rest = "data/" + data
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, rest))
	if !ok || err != nil || tilePath(t) != p {
		return tlog.Tile{}, fault.Errorf(fault.Untrusted, "%q is not the path of a tile", p)
	}
	return t, nil
}

// bundleOf returns the bundle k of a log of size n.
func bundleOf(k, n int64) tlog.Tile {
	return tlog.Tile{H: tileHeight, L: -1, N: k, W: int(min(n-k*tileWidth, tileWidth))}
}

// appendEntry adds an entry to a bundle: its length in two bytes, big-endian,
// and its bytes.
func appendEntry(bundle, entry []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry))) // #nosec G115 -- at most maxEvent
	return append(bundle, entry...)
}

// splitBundle returns the n entries of a bundle and what follows them.
func splitBundle(b []byte, n int) (entries [][]byte, rest []byte, err error) {
	for range n {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return entries, b, fault.Errorf(fault.Untrusted, "bundle ends in the middle of its entry %d of %d", len(entries), n)
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		entries = append(entries, b[2:end])
		b = b[end:]
	}
	return entries, b, nil
}

// tiles reads the tiles below root.
type tiles struct{ root *os.Root }

var _ tlog.TileReader = tiles{}

// Height returns the height of the tiles.
func (tiles) Height() int { return tileHeight }

// ReadTiles returns the content of hash tiles.
func (s tiles) ReadTiles(ts []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(ts))
	for i, t := range ts {
		b, err := s.read(t)
		if err != nil {
			return nil, err
		}
		if len(b) != t.W*tlog.HashSize {
			return nil, fault.Errorf(fault.Untrusted, "audit log: %s has %d bytes, want %d", tilePath(t), len(b), t.W*tlog.HashSize)
		}
		all[i] = b
	}
	return all, nil
}

// SaveTiles does nothing: the tiles are where they belong.
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// read returns the bytes of a tile or bundle.
func (s tiles) read(t tlog.Tile) ([]byte, error) {
	f, err := s.root.Open(tilePath(t))
	if err != nil {
		return nil, fault.Errorf(fault.Untrusted, "audit log: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBundle+1))
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	if len(b) > maxBundle {
		return nil, fault.Errorf(fault.Untrusted, "audit log: %s is longer than %d bytes", tilePath(t), maxBundle)
	}
	return b, nil
}

// growing is a tree that has more leaves than its tiles hold.
type growing struct {
	stored tlog.HashReader
	count  int64 // hashes in stored
	added  []tlog.Hash
}

// ReadHashes returns stored hashes by index.
func (g *growing) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var old, at []int64
	for i, x := range indexes {
		if x >= g.count {
			if x-g.count >= int64(len(g.added)) {
				return nil, fault.Errorf(fault.Internal, "audit log: hash %d is not there yet", x)
			}
			out[i] = g.added[x-g.count]
			continue
		}
		old, at = append(old, x), append(at, int64(i))
	}
	if len(old) == 0 {
		return out, nil
	}
	hashes, err := g.stored.ReadHashes(old)
	if err != nil {
		return nil, fault.Errorf(fault.Untrusted, "audit log: %w", err)
	}
	for i, h := range hashes {
		out[at[i]] = h
	}
	return out, nil
}
