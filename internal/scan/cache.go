package scan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/ref"
)

// format is raised whenever facts are written in another form or gathered by
// other rules.
const format = 2

// maxKept is the weight up to which facts are kept: writing more of them down
// takes more memory than reading the layer again.
const maxKept = 16 << 20

// maxCached is the most that is read back from a cache, bytes.
const maxCached = 64 << 20

// Cache keeps bytes by key. A key is lower-case hexadecimal.
type Cache interface {
	// Get returns what was put, or an error that is [fs.ErrNotExist].
	Get(key string) ([]byte, error)
	Put(key string, b []byte) error
}

type noCache struct{}

func (noCache) Get(string) ([]byte, error) { return nil, fs.ErrNotExist }
func (noCache) Put(string, []byte) error   { return nil }

// key names the facts of a layer: by the bytes of its blob, how they are read
// (the media type says how they are compressed), and the extractors.
func (s *Scanner) key(d v1.Descriptor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "format %d\n%s\n%s\n", format, d.Digest, d.MediaType)
	for _, x := range s.Extractors {
		fmt.Fprintf(&b, "%s:%d\n", x.Name(), x.Version())
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// load returns the facts under key, or nil if there are none. What was damaged
// is an error and will be computed again.
func load(c Cache, key string, layer ref.Digest) (*inventory.Facts, error) {
	b, err := c.Get(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is there, which is no mistake
	}
	if err != nil {
		return nil, fmt.Errorf("read kept facts of layer %s: %w", layer, err)
	}
	sum, body, _ := bytes.Cut(b, []byte("\n"))
	if got := checksum(body); string(sum) != got {
		return nil, fmt.Errorf("kept facts of layer %s are damaged and will be replaced", layer)
	}
	f := &inventory.Facts{}
	if err := json.Unmarshal(body, f); err != nil {
		return nil, fmt.Errorf("read kept facts of layer %s: %w", layer, err)
	}
	if f.Digest != layer {
		return nil, fmt.Errorf("kept facts of layer %s are those of %q", layer, f.Digest)
	}
	return f, nil
}

func store(c Cache, key string, f *inventory.Facts) error {
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("keep facts of layer %s: %w", f.Digest, err)
	}
	if err := c.Put(key, append([]byte(checksum(body)+"\n"), body...)); err != nil {
		return fmt.Errorf("keep facts of layer %s: %w", f.Digest, err)
	}
	return nil
}

func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Folder is a [Cache] of one file per key. The zero value is not usable; the
// folder is made when something is put, and not used if others may write to it.
type Folder struct{ Path string }

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
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

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
	return syncFolder(c.Path)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
