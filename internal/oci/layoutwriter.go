package oci

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
)

// LayoutWriter adds one image to an OCI layout. Nothing that a reader could see
// changes before [LayoutWriter.Commit]; after [LayoutWriter.Abort] everything is
// as it was. It must not be used concurrently.
type LayoutWriter struct {
	dir   string // where the layout will be
	at    string // where it is being written: dir itself, or a new folder beside it
	root  *os.Root
	added []string // files that were not there before
}

// WriteLayout begins to add an image to the layout in dir, or to a new one if
// dir does not exist or is empty. One of Commit and Abort must follow.
func WriteLayout(dir string) (*LayoutWriter, error) {
	dir = filepath.Clean(dir)
	w := &LayoutWriter{dir: dir, at: dir}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(entries) == 0:
		if w.at, err = os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-"); err != nil {
			return nil, fault.Errorf(fault.Unavailable, "make layout %q: %w", dir, err)
		}
	case err != nil:
		return nil, fault.Errorf(fault.Unavailable, "write layout: %w", err)
	default:
		if _, err := OpenLayout(dir); err != nil {
			return nil, fault.Hint(fault.As(fault.Invalid, err), "name a folder that is empty or does not exist")
		}
	}
	if w.root, err = os.OpenRoot(w.at); err != nil {
		return nil, fault.Errorf(fault.Unavailable, "write layout %q: %w", dir, err)
	}
	return w, nil
}

// Has reports whether the layout holds the blob that d names. It reads it, so
// that a copy does not build on a blob that was damaged since.
func (w *LayoutWriter) Has(ctx context.Context, d v1.Descriptor) bool {
	r, err := (&Layout{w.at}).Open(ctx, d)
	if err != nil {
		return false
	}
	defer func() { _ = r.Close() }()
	_, err = io.Copy(io.Discard, r)
	return err == nil
}

// Put writes the blob that d names, checked against d, and closes r.
func (w *LayoutWriter) Put(d v1.Descriptor, r io.ReadCloser) error {
	if err := CheckDescriptor(d); err != nil {
		_ = r.Close()
		return err
	}
	checked := VerifyReader(r, d)
	defer func() { _ = checked.Close() }()
	name := blobPath(d.Digest)
	if err := w.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fault.Errorf(fault.Unavailable, "write blob %s: %w", d.Digest, err)
	}
	_, err := w.root.Lstat(name)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err := w.replace(name, checked); err != nil {
		return fmt.Errorf("write blob %s: %w", d.Digest, err)
	}
	if isNew {
		w.added = append(w.added, name)
	}
	return nil
}

// Commit makes the blob d the image of that name, or the layout's only one if
// tag is "", and the layout visible. It is the last call.
func (w *LayoutWriter) Commit(d v1.Descriptor, tag string) error {
	if err := w.commit(d, tag); err != nil {
		return errors.Join(fmt.Errorf("write layout %q: %w", w.dir, err), w.Abort())
	}
	return w.root.Close()
}

func (w *LayoutWriter) commit(d v1.Descriptor, tag string) error {
	index, err := w.index()
	if err != nil {
		return err
	}
	if index.Manifests, err = named(index.Manifests, d, tag); err != nil {
		return err
	}
	for _, folder := range w.folders() {
		if err := syncFolder(filepath.Join(w.at, folder)); err != nil {
			return err
		}
	}
	if err := w.replaceJSON(v1.ImageLayoutFile, v1.ImageLayout{Version: v1.ImageLayoutVersion}); err != nil {
		return err
	}
	if err := w.replaceJSON(v1.ImageIndexFile, index); err != nil {
		return err
	}
	w.added = nil // they are in use now
	if err := syncFolder(w.at); err != nil || w.at == w.dir {
		return err
	}
	if err := os.Chmod(w.at, 0o755); err != nil { //nolint:gosec // a layout is for everybody to read
		return unavailable(err)
	}
	if err := os.Rename(w.at, w.dir); err != nil {
		return unavailable(err)
	}
	return syncFolder(filepath.Dir(w.dir))
}

// named returns all with d under that name instead of what had it.
func named(all []v1.Descriptor, d v1.Descriptor, tag string) ([]v1.Descriptor, error) {
	if tag != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: tag}
	}
	all = slices.DeleteFunc(all, func(old v1.Descriptor) bool {
		name := old.Annotations[v1.AnnotationRefName]
		return name == tag && (name != "" || old.Digest == d.Digest)
	})
	if tag == "" && len(all) > 0 {
		err := fault.Errorf(fault.Invalid, "it holds other images, so this one needs a name")
		return nil, fault.Hint(err, "name it as in oci:DIR:TAG")
	}
	return append(all, d), nil
}

// Abort removes what was written. It is the last call, and does no harm after
// Commit.
func (w *LayoutWriter) Abort() error {
	defer func() { _ = w.root.Close() }()
	if w.at != w.dir {
		return unavailable(os.RemoveAll(w.at))
	}
	var errs []error
	for _, name := range w.added {
		errs = append(errs, w.root.Remove(name))
	}
	return unavailable(errors.Join(errs...))
}

func (w *LayoutWriter) index() (v1.Index, error) {
	if w.at != w.dir {
		return emptyIndex(), nil
	}
	return (&Layout{w.at}).Index()
}

func (w *LayoutWriter) replaceJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return w.replace(name, bytes.NewReader(b))
}

// replace writes r under a temporary name, makes it durable and gives it its
// name.
func (w *LayoutWriter) replace(name string, r io.Reader) error {
	temp := name + ".tmp-" + rand.Text()
	f, err := w.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return unavailable(err)
	}
	_, err = io.Copy(fileWriter{f}, r)
	if err == nil {
		err = unavailable(f.Sync())
	}
	err = errors.Join(err, unavailable(f.Close()))
	if err == nil {
		err = unavailable(w.root.Rename(temp, name))
	}
	if err != nil {
		return errors.Join(err, unavailable(w.root.Remove(temp)))
	}
	return nil
}

// folders returns the folders that hold new blobs, and theirs.
func (w *LayoutWriter) folders() []string {
	folders := []string{}
	for _, name := range w.added {
		if folder := path.Dir(name); !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	if len(folders) > 0 {
		folders = append(folders, v1.ImageBlobsDir)
	}
	return folders
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return unavailable(err)
	}
	return unavailable(errors.Join(f.Sync(), f.Close()))
}

// fileWriter tells errors of writing, such as a full disk, from those of
// reading what is written.
type fileWriter struct{ f *os.File }

func (w fileWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	return n, unavailable(err)
}
