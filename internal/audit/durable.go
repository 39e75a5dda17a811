package audit

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
)

// writeDurably replaces the file name by one with the content b: it is there
// whole, on disk, or not at all. Folders above it are made.
func writeDurably(root *os.Root, name string, b []byte, mode fs.FileMode) error {
	if err := place(root, name, b, mode); err != nil {
		return err
	}
	return syncFolders(root, name)
}

// place writes and renames without making the rename itself durable.
func place(root *os.Root, name string, b []byte, mode fs.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	temporary := name + ".tmp"
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: write %s: %w", name, errors.Join(err, root.Remove(temporary)))
	}
	return nil
}

// syncFolders makes the directory entries of all names durable, up to the root.
func syncFolders(root *os.Root, names ...string) error {
	done := map[string]bool{}
	for _, name := range names {
		for name != "." {
			name = path.Dir(name)
			if done[name] {
				continue
			}
			done[name] = true
			if err := durable.SyncIn(root, name); err != nil {
				return fault.Errorf(fault.Unavailable, "audit log: %w", err)
			}
		}
	}
	return nil
}
