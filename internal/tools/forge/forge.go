// Package forge plays the attacker whom the audit log cannot stop by its own
// signature: the administrator of the host, who holds the log's key. It rewrites
// a log so that nothing in it is wrong; only who kept an older checkpoint can
// tell.
package forge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// CutShort removes all but the first keep entries of the log in the folder dir,
// which must have fewer than 256, and signs what is left with the log's key.
func CutShort(dir string, keep int) error {
	bundles, err := filepath.Glob(filepath.Join(dir, "tile/entries/000.p/*"))
	if err != nil || len(bundles) != 1 {
		return fmt.Errorf("the log in %q has %d bundles of entries, not one", dir, len(bundles))
	}
	bundle, err := os.ReadFile(bundles[0])
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	var entries [][]byte
	for b := bundle; len(b) > 0; {
		end := 2 + int(binary.BigEndian.Uint16(b))
		entries, b = append(entries, b[2:end]), b[end:]
	}
	if keep >= len(entries) {
		return fmt.Errorf("the log in %q has only %d entries", dir, len(entries))
	}
	return write(dir, entries[:keep])
}

// write replaces the tree in dir by one of entries (tlog-tiles: a bundle of
// entries, a tile of leaf hashes, a signed checkpoint).
func write(dir string, entries [][]byte) error {
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var some []tlog.Hash
		for _, i := range indexes {
			some = append(some, hashes[i])
		}
		return some, nil
	})
	var bundle, tile []byte
	for i, e := range entries {
		more, err := tlog.StoredHashes(int64(i), e, reader)
		if err != nil {
			return fmt.Errorf("hash entries: %w", err)
		}
		hashes = append(hashes, more...)
		bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(e))), e...)
		tile = append(tile, more[0][:]...)
	}
	checkpoint, err := sign(dir, int64(len(entries)), reader)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("000.p/%d", len(entries))
	err = errors.Join(os.RemoveAll(filepath.Join(dir, "tile/entries/000.p")), os.RemoveAll(filepath.Join(dir, "tile/0/000.p")))
	for path, b := range map[string][]byte{"tile/entries/" + name: bundle, "tile/0/" + name: tile, "checkpoint": checkpoint} {
		path = filepath.Join(dir, path)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600))
	}
	return err
}

// sign returns the checkpoint of a tree of size entries.
func sign(dir string, size int64, reader tlog.HashReader) ([]byte, error) {
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return nil, fmt.Errorf("hash tree: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return nil, fmt.Errorf("read the log's key: %w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(key)))
	if err != nil {
		return nil, fmt.Errorf("read the log's key: %w", err)
	}
	return note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), size, root)}, signer)
}
