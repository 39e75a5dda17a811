package audit

import (
	"errors"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/fault"
)

// publish moves the pending entries into tiles, signs the larger tree and
// empties the journal, in this order: whatever a crash leaves of it is either
// not named by the checkpoint or read again from the journal.
func (l *Log) publish() error {
	if len(l.pending) == 0 {
		return nil
	}
	grown := &growing{stored: tlog.TileHashReader(l.tree, tiles{l.root}), count: tlog.StoredHashCount(l.tree.N)}
	next := l.tree.N
	for _, entry := range l.pending {
		hashes, err := tlog.StoredHashes(next, entry, grown)
		if err != nil {
			return fault.Errorf(fault.Untrusted, "audit log: %w", err)
		}
		grown.added = append(grown.added, hashes...)
		next++
	}
	root, err := tlog.TreeHash(next, grown)
	if err != nil {
		return fault.Errorf(fault.Untrusted, "audit log: %w", err)
	}
	if err := l.writeTiles(next, grown); err != nil {
		return err
	}
	before := l.tree.N
	if err := l.sign(l.signer, tlog.Tree{N: next, Hash: root}); err != nil {
		return err
	}
	l.pending, l.publishing = [][]byte{}, nil
	return errors.Join(l.journal.truncate(0), l.removeStale(before))
}

// writeTiles writes all tiles and bundles that a tree of size next has and the
// present one has not.
func (l *Log) writeTiles(next int64, hashes tlog.HashReader) error {
	var names []string
	for _, t := range tlog.NewTiles(tileHeight, l.tree.N, next) {
		b, err := tlog.ReadTileData(t, hashes)
		if err != nil {
			return fault.Errorf(fault.Untrusted, "audit log: %w", err)
		}
		names = append(names, tilePath(t))
		if err := place(l.root, tilePath(t), b, 0o644); err != nil {
			return err
		}
	}
	for k := l.tree.N / tileWidth; k*tileWidth < next; k++ {
		b, err := l.bundle(k, next)
		if err != nil {
			return err
		}
		name := tilePath(bundleOf(k, next))
		names = append(names, name)
		if err := place(l.root, name, b, 0o600); err != nil {
			return err
		}
	}
	return syncFolders(l.root, names...)
}

// bundle returns bundle k of a log that grows to size next: what is stored of it
// and the pending entries that belong to it.
func (l *Log) bundle(k, next int64) ([]byte, error) {
	var b []byte
	from, to := k*tileWidth, min((k+1)*tileWidth, next)
	if from < l.tree.N {
		var err error
		stored := bundleOf(k, l.tree.N)
		if b, err = (tiles{l.root}).read(stored); err != nil {
			return nil, err
		}
		if _, rest, err := splitBundle(b, stored.W); err != nil || len(rest) > 0 {
			return nil, fault.Errorf(fault.Untrusted, "audit log: %s does not hold %d entries", tilePath(stored), stored.W)
		}
		from = l.tree.N
	}
	for i := from; i < to; i++ {
		b = appendEntry(b, l.pending[i-l.tree.N])
	}
	return b, nil
}

// removeStale removes the unfinished tiles of the tree of size before, which the
// present tree has in a longer form.
func (l *Log) removeStale(before int64) error {
	keep := map[string]bool{}
	for _, t := range edge(l.tree.N) {
		keep[tilePath(t)] = true
	}
	for _, t := range edge(before) {
		name := tilePath(t)
		if keep[name] {
			continue
		}
		if err := l.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Errorf(fault.Unavailable, "audit log: %w", err)
		}
	}
	return nil
}

// edge returns the unfinished tiles and the unfinished bundle of a tree of size
// n: at most one of each level.
func edge(n int64) []tlog.Tile {
	var ts []tlog.Tile
	if n%tileWidth != 0 {
		ts = append(ts, bundleOf(n/tileWidth, n))
	}
	for level := 0; n > 0; level++ {
		if w := int(n % tileWidth); w != 0 {
			ts = append(ts, tlog.Tile{H: tileHeight, L: level, N: n / tileWidth, W: w})
		}
		n /= tileWidth
	}
	return ts
}
