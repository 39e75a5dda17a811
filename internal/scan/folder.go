package scan

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"plimsoll/internal/fault"
)

// maxCached is the most that is read back from a cache, bytes.
const maxCached = 64 << 20

// Folder is a [Cache] of one file per key, which many processes may use at once.
// The zero value is not usable; the folder is made when something is put, and
// not used if others may write to it.
type Folder struct {
	Path string
	// Max is how many bytes the files may take: what was not used for longest
	// goes first. 0 means 1 GiB.
	Max int64
}

// private refuses a folder that other users may write to: facts that somebody
// else put there could hide what is in a layer.
func (c Folder) private() error {
	info, err := os.Stat(c.Path)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&0o022 != 0 || !ok || int(owner.Uid) != os.Geteuid() {
		return fault.Errorf(fault.Denied, "others may write to %q, so it is not used; its owner should be user %d and its mode 0700", c.Path, os.Geteuid())
	}
	return nil
}

// Get implements [Cache].
func (c Folder) Get(key string) ([]byte, error) {
	if err := c.private(); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(c.Path, key+".facts"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxCached {
		return nil, fmt.Errorf("%q is not a file of at most %d bytes", f.Name(), maxCached)
	}
	if now := time.Now(); now.Sub(info.ModTime()) > fresh {
		_ = os.Chtimes(f.Name(), now, now) // used: it goes later
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// fresh is how old the note of a last use may be.
const fresh = time.Hour

// Put implements [Cache]. The file appears complete or not at all.
func (c Folder) Put(key string, b []byte) (err error) {
	if err := os.MkdirAll(c.Path, 0o700); err != nil {
		return err
	}
	if err := c.private(); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.Path, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(c.Path, key+".facts")); err != nil {
		return err
	}
	return errors.Join(syncFolder(c.Path), c.prune())
}

// prune removes what was not used for longest, until the rest is below the cap,
// and what was left half written. Another process may do
// the same: what is gone already is no mistake.
func (c Folder) prune() error {
	entries, err := os.ReadDir(c.Path)
	if err != nil {
		return err
	}
	var kept []fs.FileInfo
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone
		}
		if strings.HasPrefix(e.Name(), ".new-") {
			if time.Since(info.ModTime()) > fresh { // left by a process that was ended
				_ = os.Remove(filepath.Join(c.Path, e.Name())) // tried again next time
			}
			continue
		}
		total += info.Size()
		kept = append(kept, info)
	}
	limit := cmp.Or(c.Max, 1<<30)
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range kept {
		if total <= limit {
			break
		}
		if err := os.Remove(filepath.Join(c.Path, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= info.Size()
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
