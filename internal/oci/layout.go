package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Layout is an OCI image layout in a folder (image-spec, image-layout.md). All
// access stays inside the folder, whatever links are in it. It holds no file
// open and may be used concurrently.
type Layout struct{ dir string }

// OpenLayout returns the layout in dir: NotFound if there is none, Invalid if
// it is of a version that we do not know.
func OpenLayout(dir string) (*Layout, error) {
	l := &Layout{dir}
	b, err := l.read(v1.ImageLayoutFile, MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Errorf(fault.NotFound, "%q is not an OCI layout: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open layout: %w", err)
	}
	if err := CheckLayout(b); err != nil {
		return nil, fmt.Errorf("layout %q: %w", dir, err)
	}
	return l, nil
}

// CheckLayout returns an Invalid error unless b is the oci-layout file of a
// layout that we can read.
func CheckLayout(b []byte) error {
	var header v1.ImageLayout
	if err := json.Unmarshal(b, &header); err != nil {
		return fault.Errorf(fault.Invalid, "parse %q: %w", v1.ImageLayoutFile, err)
	}
	if header.Version != v1.ImageLayoutVersion {
		return fault.Errorf(fault.Invalid, "layout version %q: only %q is known", header.Version, v1.ImageLayoutVersion)
	}
	return nil
}

// Index returns the layout's index.json.
func (l *Layout) Index() (v1.Index, error) {
	b, err := l.read(v1.ImageIndexFile, MaxManifest)
	if err != nil {
		return v1.Index{}, fmt.Errorf("read index of layout %q: %w", l.dir, err)
	}
	index, err := ParseLayoutIndex(b)
	if err != nil {
		return v1.Index{}, fmt.Errorf("layout %q: %w", l.dir, err)
	}
	return index, nil
}

// ParseLayoutIndex parses the index.json of a layout, which is an index that
// need not say so.
func ParseLayoutIndex(b []byte) (v1.Index, error) {
	doc, err := ParseDocument("", b)
	if err != nil {
		doc, err = ParseDocument(v1.MediaTypeImageIndex, b)
	}
	if err != nil {
		return v1.Index{}, fmt.Errorf("index.json: %w", err)
	}
	if doc.Index == nil {
		return v1.Index{}, fault.Errorf(fault.Invalid, "index.json is a %s", doc.MediaType)
	}
	return *doc.Index, nil
}

// Choose returns the one entry of a layout's index that tag names, or the only
// one if tag is "". Two entries of one name are Invalid: readers would disagree.
func Choose(index v1.Index, tag string) (v1.Descriptor, error) {
	var found []v1.Descriptor
	var names []string
	for _, d := range index.Manifests {
		name := d.Annotations[v1.AnnotationRefName]
		names = append(names, fmt.Sprintf("%q", name))
		if same := tag == "" || name == tag; same && !slices.ContainsFunc(found, sameDigest(d)) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && tag == "":
		return v1.Descriptor{}, fault.Errorf(fault.NotFound, "there is no image in it")
	case len(found) == 0:
		return v1.Descriptor{}, fault.Errorf(fault.NotFound, "no image is named %q; there are %s", tag, strings.Join(names, ", "))
	case tag == "":
		return v1.Descriptor{}, fault.Errorf(fault.Invalid, "there are %d images in it and none was chosen; their names are %s", len(found), strings.Join(names, ", "))
	}
	return v1.Descriptor{}, fault.Errorf(fault.Invalid, "%d images are named %q", len(found), tag)
}

func sameDigest(d v1.Descriptor) func(v1.Descriptor) bool {
	return func(other v1.Descriptor) bool { return other.Digest == d.Digest }
}

// Resolve returns what tag names, or the only image if tag is "".
func (l *Layout) Resolve(tag string) (v1.Descriptor, error) {
	index, err := l.Index()
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := Choose(index, tag)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("layout %q: %w", l.dir, err)
	}
	return d, nil
}

// Open returns the content that d names, checked while it is read as by
// [VerifyReader]. The caller closes it.
func (l *Layout) Open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if err := CheckDescriptor(d); err != nil {
		return nil, err
	}
	f, err := l.open(blobPath(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Errorf(fault.NotFound, "blob %s is not in layout %q", d.Digest, l.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", d.Digest, err)
	}
	return VerifyReader(f, d), nil
}

func blobPath(d ref.Digest) string {
	return path.Join(v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// open opens a regular file of the layout.
func (l *Layout) open(name string) (*os.File, error) {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold us up
	if err != nil {
		return nil, unavailable(err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, fault.Errorf(fault.Invalid, "%q is not a regular file", name)
	}
	return f, nil
}

func (l *Layout) read(name string, limit int64) ([]byte, error) {
	f, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := readCapped(f, limit)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return b, nil
}

// unavailable gives what the file system refuses its kind; what does not exist
// keeps its own.
func unavailable(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fault.As(fault.Unavailable, err)
}

// emptyIndex is the index.json of a layout without images.
func emptyIndex() v1.Index {
	return v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
}
