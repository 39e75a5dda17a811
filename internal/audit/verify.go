package audit

import (
	"bytes"
	"context"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/fault"
)

// Report says what [Reader.Verify] found right.
type Report struct {
	Log     string    `json:"log"`
	Size    int64     `json:"size"` // events under the checkpoint
	Root    tlog.Hash `json:"root"` // base64
	Pending int       `json:"pending"`
	Since   *int64    `json:"since,omitempty"` // size of the older tree that the log still contains
}

// Verify computes the whole tree again from the events and compares it with
// every tile and with the checkpoint. since, unless it is empty, is an older
// checkpoint: the log must contain the tree that it names as its beginning (RFC
// 6962 section 2.1.2). Untrusted, naming the first bad event where it can be
// told, if anything differs.
func (r *Reader) Verify(ctx context.Context, since []byte) (*Report, error) {
	grown := &growing{}
	for k := int64(0); k*tileWidth < r.tree.N; k++ {
		if err := ctx.Err(); err != nil {
			return nil, fault.Errorf(fault.Unavailable, "audit log: verify: %w", err)
		}
		if err := r.verifyBundle(k, grown); err != nil {
			return nil, err
		}
	}
	if err := r.verifyTree(grown); err != nil {
		return nil, err
	}
	if err := r.verifyFiles(grown); err != nil {
		return nil, err
	}
	if len(r.tail) > 0 {
		return nil, fault.Hint(
			fault.Errorf(fault.Untrusted, "audit log: the journal ends in %d bytes that are no whole event: a write was cut short, or they were changed", len(r.tail)),
			"the next decision removes them and records that; then verify again")
	}
	report := &Report{Log: r.verifier.Name(), Size: r.tree.N, Root: r.tree.Hash, Pending: len(r.pending)}
	if len(since) > 0 {
		old, err := r.verifySince(since, grown)
		if err != nil {
			return nil, err
		}
		report.Since = &old.N
	}
	return report, nil
}

// verifyBundle checks the events of bundle k against the hashes that the tiles
// hold for them, and adds their hashes to grown.
func (r *Reader) verifyBundle(k int64, grown *growing) error {
	entries, err := r.bundle(k)
	if err != nil {
		return err
	}
	leaves, err := (tiles{r.root}).ReadTiles([]tlog.Tile{{H: tileHeight, L: 0, N: k, W: len(entries)}})
	if err != nil {
		return err
	}
	for i, entry := range entries {
		index := k*tileWidth + int64(i)
		leaf := tlog.RecordHash(entry)
		if !bytes.Equal(leaf[:], leaves[0][i*tlog.HashSize:][:tlog.HashSize]) {
			return fault.Errorf(fault.Untrusted, "audit log: event %d is not the one that the tree holds", index)
		}
		e, err := ParseEvent(entry)
		if err != nil {
			return fault.Errorf(fault.Untrusted, "audit log: event %d: %w", index, err)
		}
		if e.Index != index {
			return fault.Errorf(fault.Untrusted, "audit log: event %d stands in the place of event %d", e.Index, index)
		}
		hashes, err := tlog.StoredHashesForRecordHash(index, leaf, grown)
		if err != nil {
			return fault.Errorf(fault.Internal, "audit log: %w", err)
		}
		grown.added = append(grown.added, hashes...)
	}
	return nil
}

func (r *Reader) verifyTree(grown *growing) error {
	root, err := treeHash(r.tree.N, grown)
	if err != nil {
		return err
	}
	if root != r.tree.Hash {
		return fault.Errorf(fault.Untrusted, "audit log: the %d events do not have the root that the checkpoint names", r.tree.N)
	}
	return nil
}

// treeHash returns the root of the first n leaves.
func treeHash(n int64, hashes tlog.HashReader) (tlog.Hash, error) {
	if n == 0 {
		return emptyRoot, nil
	}
	h, err := tlog.TreeHash(n, hashes)
	if err != nil {
		return h, fault.Errorf(fault.Internal, "audit log: %w", err)
	}
	return h, nil
}

// verifyFiles checks that below the tile folder lie the tiles of the tree, byte
// for byte, and nothing that is not of it.
func (r *Reader) verifyFiles(grown *growing) error {
	for _, t := range tlog.NewTiles(tileHeight, 0, r.tree.N) {
		if err := r.verifyTile(t, grown); err != nil {
			return err
		}
	}
	if ok, err := exists(r.root, tileFolder); err != nil || (!ok && r.tree.N == 0) {
		return err
	}
	return fs.WalkDir(r.root.FS(), tileFolder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fault.Errorf(fault.Untrusted, "audit log: %w", err)
		}
		if d.IsDir() || strings.HasSuffix(name, ".tmp") { // a crash leaves these; nothing reads them
			return nil
		}
		t, err := parseTilePath(name)
		if err != nil {
			return err
		}
		return r.verifyFile(t, grown)
	})
}

// verifyFile checks a file that lies in the tile folder. One that is shorter
// than the tree's own tile is what a crash left before it could be removed; one
// that is longer was written before a crash could sign it.
func (r *Reader) verifyFile(t tlog.Tile, grown *growing) error {
	covered := r.tree.N
	for range max(t.L, 0) {
		covered /= tileWidth
	}
	if t.N*tileWidth+int64(t.W) > covered {
		if len(r.pending) > 0 {
			return nil
		}
		return fault.Errorf(fault.Untrusted, "audit log: %s is not part of the tree of %d events", tilePath(t), r.tree.N)
	}
	if t.L >= 0 {
		return r.verifyTile(t, grown)
	}
	b, err := (tiles{r.root}).read(t)
	if err != nil {
		return err
	}
	entries, rest, err := splitBundle(b, t.W)
	if err != nil || len(rest) > 0 {
		return fault.Errorf(fault.Untrusted, "audit log: %s does not hold %d events", tilePath(t), t.W)
	}
	for i, entry := range entries {
		index := t.N*tileWidth + int64(i)
		if grown.added[tlog.StoredHashIndex(0, index)] != tlog.RecordHash(entry) {
			return fault.Errorf(fault.Untrusted, "audit log: event %d in %s is not the one that the tree holds", index, tilePath(t))
		}
	}
	return nil
}

func (r *Reader) verifyTile(t tlog.Tile, grown *growing) error {
	want, err := tlog.ReadTileData(t, grown)
	if err != nil {
		return fault.Errorf(fault.Internal, "audit log: %w", err)
	}
	got, err := (tiles{r.root}).read(t)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fault.Errorf(fault.Untrusted, "audit log: %s does not hold the hashes of its events", tilePath(t))
	}
	return nil
}

func (r *Reader) verifySince(since []byte, grown *growing) (tlog.Tree, error) {
	old, err := OpenCheckpoint(since, r.verifier)
	if err != nil {
		return old, fault.Errorf(fault.Untrusted, "older checkpoint: %w", err)
	}
	if old.N > r.tree.N {
		return old, fault.Errorf(fault.Untrusted, "audit log: it was cut short: it has %d events and had %d when the older checkpoint was signed", r.tree.N, old.N)
	}
	root, err := treeHash(old.N, grown)
	if err != nil {
		return old, err
	}
	if root != old.Hash {
		return old, fault.Errorf(fault.Untrusted, "audit log: its history was rewritten: the first %d events are not those that the older checkpoint names", old.N)
	}
	return old, nil
}
