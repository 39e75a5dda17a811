package trust

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Folder is a store in a folder: the files of a GUN lie in
// <folder>/<GUN>/_trust/ under the names of TUF's plain paths, ready to be served
// over HTTP. Publishers on one machine take turns by a lock.
type Folder struct{ path string }

var _ Store = (*Folder)(nil)

// NewFolder returns the store in the folder at path, which is made when it is
// first written to.
func NewFolder(path string) *Folder { return &Folder{path} }

// Load implements [Source].
func (s *Folder) Load(_ context.Context, gun ref.GUN) (Collection, error) {
	top, err := os.OpenRoot(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.Errorf(fault.NotFound, "no trust data for %q", gun)
	} else if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	defer top.Close()
	c := &folderCollection{top: s.path, dir: string(gun) + "/" + collectionDir}
	if _, err := top.Stat(c.dir + "/" + fileName(RoleTimestamp, 0)); errors.Is(err, os.ErrNotExist) {
		return nil, fault.Errorf(fault.NotFound, "no trust data for %q", gun)
	} else if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	return c, nil
}

type folderCollection struct{ top, dir string }

// Read implements [Collection].
func (c *folderCollection) Read(_ context.Context, name string, limit int64) ([]byte, error) {
	top, err := os.OpenRoot(c.top)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	defer top.Close()
	return readFile(top, c.dir+"/"+name, limit)
}

// Begin implements [Store]. The folder is locked until the change is closed.
func (s *Folder) Begin(ctx context.Context, gun ref.GUN) (Change, error) {
	top, err := openDir(s.path)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	dir, err := subDir(top, string(gun)+"/"+collectionDir)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(ctx, dir, ".lock")
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	base, err := s.Load(ctx, gun)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, errors.Join(err, lock.Release(), dir.Close())
	}
	return &folderChange{base: base, dir: dir, lock: lock}, nil
}

type folderChange struct {
	base Collection
	dir  *os.Root
	lock *durable.Lock
}

func (c *folderChange) Base() Collection { return c.base }

// Commit writes the timestamp last: until then clients see what was before. It
// keeps older versions.
func (c *folderChange) Commit(ctx context.Context, u Update) error {
	last := fileName(RoleTimestamp, 0)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(u.Put)), func(n string) bool { return n == last })
	if _, ok := u.Put[last]; ok {
		names = append(names, last)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return fault.As(fault.Unavailable, err)
		}
		if err := writeFile(c.dir, name, u.Put[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *folderChange) Close(context.Context) error {
	return errors.Join(c.lock.Release(), c.dir.Close())
}
