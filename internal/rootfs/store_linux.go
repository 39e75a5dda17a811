package rootfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
)

// Walker walks the i-th layer of an image, bottom first, as *image.Image does.
type Walker interface {
	Walk(ctx context.Context, i int, caps image.Caps, fn func(image.Entry, io.Reader) error) (image.Walked, error)
}

// Layer is an unpacked layer.
type Layer struct {
	DiffID  ref.Digest `json:"diffId"`
	Size    int64      `json:"size"`              // bytes of the plain tar
	Entries int        `json:"entries"`           // of the tar
	Skipped []string   `json:"skipped,omitempty"` // device nodes that were not made
	Folder  string     `json:"-"`                 // absolute path of the tree
	Fresh   bool       `json:"-"`                 // unpacked by this call
}

// Store is a folder of unpacked layers. Any number of processes may use one.
type Store struct{ dir string }

// NewStore returns the store in the folder dir, which it makes if needed, open
// to its owner only.
func NewStore(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.Chmod(dir, 0o700) //nolint:gosec // a folder needs its x bit
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("folder of layers: %w", err))
	}
	return &Store{dir}, nil
}

const (
	tree      = "fs"         // within a layer's folder
	marker    = "layer.json" // within a layer's folder: it is complete
	maxMarker = 4 << 20      // bytes
	maxLayers = 500          // that overlayfs stacks
)

// Unpack returns the layers of an image whose config claims diffIDs, bottom
// first, and unpacks those that are not there yet. Of a layer that occurs twice
// only the upper occurrence is returned: it hides the lower one wholly.
//
// A layer whose bytes are not what its diff ID names is Untrusted, one that
// cannot be unpacked faithfully is Invalid; neither leaves anything behind.
func (s *Store) Unpack(ctx context.Context, w Walker, diffIDs []ref.Digest) ([]Layer, error) {
	if len(diffIDs) == 0 || len(diffIDs) > maxLayers {
		return nil, fault.Errorf(fault.Invalid, "image has %d layers; 1 to %d can be stacked", len(diffIDs), maxLayers)
	}
	top := map[ref.Digest]int{}
	for i, d := range diffIDs {
		top[d] = i
	}
	var layers []Layer
	for i, d := range diffIDs {
		if top[d] != i {
			continue
		}
		l, err := s.layer(ctx, w, i, d)
		if err != nil {
			return nil, fmt.Errorf("layer %d (%s): %w", i, d, err)
		}
		layers = append(layers, l)
	}
	return layers, nil
}

func (s *Store) layer(ctx context.Context, w Walker, i int, id ref.Digest) (l Layer, err error) {
	if _, err := ref.ParseDigest(string(id)); err != nil {
		return Layer{}, err
	}
	home := filepath.Join(s.dir, strings.ReplaceAll(string(id), ":", "-"))
	if l, err := read(home, id); err == nil {
		return l, nil
	}
	lock, err := durable.Acquire(ctx, home+".lock")
	if err != nil {
		return Layer{}, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if l, err := read(home, id); err == nil {
		return l, nil // another run was faster
	}
	for _, old := range []string{home, home + ".tmp"} { // incomplete: a complete one was read
		if err := os.RemoveAll(old); err != nil {
			return Layer{}, err
		}
	}
	return s.unpack(ctx, w, i, id, home)
}

// unpack makes the layer's folder under a temporary name, and gives it its own
// when it is complete and on disk.
func (s *Store) unpack(ctx context.Context, w Walker, i int, id ref.Digest, home string) (Layer, error) {
	tmp := home + ".tmp"
	l, err := fill(ctx, w, i, id, tmp)
	if err == nil {
		err = os.Rename(tmp, home)
	}
	if err != nil {
		return Layer{}, errors.Join(err, os.RemoveAll(tmp))
	}
	l.Folder, l.Fresh = filepath.Join(home, tree), true
	return l, durable.SyncFolder(s.dir)
}

func fill(ctx context.Context, w Walker, i int, id ref.Digest, tmp string) (l Layer, err error) {
	if err := os.MkdirAll(filepath.Join(tmp, tree), 0o700); err != nil {
		return l, err
	}
	u, err := newUnpacker(filepath.Join(tmp, tree))
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	walked, err := w.Walk(ctx, i, image.Caps{}, u.entry)
	if err != nil {
		return l, err
	}
	if walked.DiffID != id {
		return l, fault.Errorf(fault.Untrusted, "the image's config says %s, the layer's bytes are %s", id, walked.DiffID)
	}
	if err := u.finish(); err != nil {
		return l, err
	}
	l = Layer{DiffID: id, Size: walked.Size, Entries: walked.Count, Skipped: u.skipped}
	b, err := json.Marshal(l)
	if err != nil {
		return l, err
	}
	if err := os.WriteFile(filepath.Join(tmp, marker), b, 0o600); err != nil {
		return l, err
	}
	return l, unix.Syncfs(u.root) // all files of the layer at once
}

// read returns the complete layer in the folder home.
func read(home string, id ref.Digest) (Layer, error) {
	b, err := durable.ReadFile(filepath.Join(home, marker), maxMarker)
	if err != nil {
		return Layer{}, err
	}
	var l Layer
	if err := json.Unmarshal(b, &l); err != nil {
		return Layer{}, err
	}
	l.Folder = filepath.Join(home, tree)
	if info, err := os.Lstat(l.Folder); err != nil || !info.IsDir() || l.DiffID != id {
		return Layer{}, fs.ErrNotExist
	}
	return l, nil
}

// Sweep removes what processes that died left half unpacked.
func (s *Store) Sweep() error {
	stale, err := filepath.Glob(filepath.Join(s.dir, "*.tmp"))
	if err != nil {
		return err
	}
	for _, tmp := range stale {
		lock, err := durable.TryAcquire(strings.TrimSuffix(tmp, ".tmp") + ".lock")
		if err != nil {
			return err
		}
		if lock == nil {
			continue // somebody is at it
		}
		if err := errors.Join(os.RemoveAll(tmp), lock.Release()); err != nil {
			return fmt.Errorf("remove half-unpacked layer: %w", err)
		}
	}
	return nil
}
