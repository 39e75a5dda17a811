package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

const (
	maxArchiveEntries = 100_000
	dockerManifest    = "manifest.json"
)

// archive is a tar file that docker save wrote: an index of where its files lie
// in it. Blobs are checked against their digest when they are read, so a file
// that was changed in between is found out.
type archive struct {
	open  func() (opened, error)
	files map[string]section
	links map[string]string
	named map[ref.Digest]section // what the legacy form holds under other names
	made  map[ref.Digest][]byte  // what it does not hold: the manifest
}

// opened is the file of an archive, opened for one reader.
type opened interface {
	io.ReaderAt
	io.Closer
}

// section is where a file of the archive lies.
type section struct{ offset, size int64 }

// findInArchive opens a docker archive: by the OCI layout in it, which newer
// versions write, or in the older form by its manifest.json alone.
func findInArchive(ctx context.Context, file string) (found, error) {
	f, err := openRegular(file)
	if err != nil {
		return found{}, err
	}
	defer func() { _ = f.Close() }()
	return findInOpened(ctx, f, func() (opened, error) { return openRegular(file) })
}

// findInOpened is findInArchive for the open file f; open gives each reader one
// of its own.
func findInOpened(ctx context.Context, f *os.File, open func() (opened, error)) (found, error) {
	a, err := indexArchive(ctx, f)
	if err != nil {
		return found{}, err
	}
	a.open = open
	if _, ok := a.files[v1.ImageLayoutFile]; ok {
		top, err := a.layout()
		return found{top: top, blobs: a, check: a.agrees}, err
	}
	top, err := a.legacy(ctx)
	return found{top: top, blobs: a}, err
}

// indexArchive reads the headers of the archive's entries.
func indexArchive(ctx context.Context, f *os.File) (*archive, error) {
	var head [4]byte
	if _, err := f.ReadAt(head[:], 0); err == nil && packing(head[:]) != plainTar {
		err := fault.Errorf(fault.Invalid, "the archive is compressed")
		return nil, fault.Hint(err, "decompress it first, with gunzip or zstd -d")
	}
	a := &archive{files: map[string]section{}, links: map[string]string{}, named: map[ref.Digest]section{}, made: map[ref.Digest][]byte{}}
	tr := tar.NewReader(f)
	for n := 1; ; n++ {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return a, nil
		case err != nil:
			return nil, fault.Errorf(fault.Invalid, "archive entry %d: %w", n, err)
		case n > maxArchiveEntries:
			return nil, fault.Errorf(fault.Invalid, "more than %d entries in the archive", maxArchiveEntries)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		offset, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
		if err := a.add(h, offset); err != nil {
			return nil, fmt.Errorf("archive entry %q: %w", h.Name, err)
		}
	}
}

// openRegular opens a file that can be read at any place.
func openRegular(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		return f, nil
	}
	_ = f.Close()
	err = fault.Errorf(fault.Invalid, "%q is not a regular file", file)
	return nil, fault.Hint(err, "write the archive to a file first: docker save -o FILE IMAGE")
}

func (a *archive) add(h *tar.Header, offset int64) error {
	name, err := cleanPath(h.Name)
	if err != nil {
		return err
	}
	_, isFile := a.files[name]
	_, isLink := a.links[name]
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg:
		a.files[name] = section{offset, h.Size}
	case tar.TypeSymlink:
		a.links[name] = path.Join(path.Dir(name), h.Linkname) // #nosec G305 -- looked up in the archive's own index, never on disk
	case tar.TypeLink:
		a.links[name] = path.Clean(h.Linkname)
	default:
		return fault.Errorf(fault.Invalid, "an entry of type %q in a docker archive", h.Typeflag)
	}
	if isFile || isLink {
		return fault.Errorf(fault.Invalid, "it is in the archive twice")
	}
	for key := range h.PAXRecords {
		if len(key) > 11 && key[:11] == "GNU.sparse." {
			return fault.Errorf(fault.Invalid, "a sparse file in a docker archive")
		}
	}
	return nil
}

// lookup returns the file of that name, through at most one link: old versions
// of docker save write a layer that comes twice as a link.
func (a *archive) lookup(name string) (section, error) {
	clean := path.Clean(name)
	s, ok := a.files[clean]
	if !ok {
		s, ok = a.files[a.links[clean]]
	}
	if !ok {
		return section{}, fault.Errorf(fault.NotFound, "%q is not in the archive", name)
	}
	return s, nil
}

// Open implements [Blobs].
func (a *archive) Open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if err := oci.CheckDescriptor(d); err != nil {
		return nil, err
	}
	if b, ok := a.made[d.Digest]; ok {
		return oci.VerifyReader(io.NopCloser(bytes.NewReader(b)), d), nil
	}
	s, err := a.blob(d.Digest)
	if err != nil {
		return nil, err
	}
	r, err := a.read(s)
	if err != nil {
		return nil, err
	}
	return oci.VerifyReader(r, d), nil
}

// blob returns where the content of that digest lies.
func (a *archive) blob(d ref.Digest) (section, error) {
	if s, ok := a.named[d]; ok {
		return s, nil
	}
	return a.lookup(path.Join(v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded()))
}

type sectionReader struct {
	io.Reader
	io.Closer
}

func (a *archive) read(s section) (io.ReadCloser, error) {
	f, err := a.open()
	if err != nil {
		return nil, err
	}
	return sectionReader{io.NewSectionReader(f, s.offset, s.size), f}, nil
}

// small returns the content of a file that has no digest.
func (a *archive) small(name string) ([]byte, error) {
	s, err := a.lookup(name)
	if err != nil {
		return nil, err
	}
	if s.size > oci.MaxManifest {
		return nil, fault.Errorf(fault.Invalid, "%q of %d bytes: more than %d", name, s.size, oci.MaxManifest)
	}
	r, err := a.read(s)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	b := make([]byte, s.size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%q is cut short: %w", name, err)
	}
	return b, nil
}

// layout returns the image of the OCI layout in the archive.
func (a *archive) layout() (v1.Descriptor, error) {
	header, err := a.small(v1.ImageLayoutFile)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if err := oci.CheckLayout(header); err != nil {
		return v1.Descriptor{}, err
	}
	b, err := a.small(v1.ImageIndexFile)
	if err != nil {
		return v1.Descriptor{}, err
	}
	index, err := oci.ParseLayoutIndex(b)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return oci.Choose(index, "")
}

// agrees refuses an archive whose manifest.json, which other programs go by,
// does not hold the image that its OCI layout led to.
func (a *archive) agrees(m *Image) error {
	if _, err := a.lookup(dockerManifest); err != nil {
		return nil //nolint:nilerr // an archive need not have one
	}
	saved, err := a.saved()
	if err != nil {
		return err
	}
	for _, s := range saved {
		if a.same(s.Config, m.Config.Digest) && len(s.Layers) == len(m.Layers) {
			same := true
			for i, name := range s.Layers {
				same = same && a.same(name, m.Layers[i].Digest)
			}
			if same {
				return nil
			}
		}
	}
	return fault.Errorf(fault.Invalid, "manifest.json and index.json of the archive speak of different images")
}

// same reports whether the file of that name is the blob of that digest.
func (a *archive) same(name string, d ref.Digest) bool {
	file, err := a.lookup(name)
	if err != nil {
		return false
	}
	blob, err := a.blob(d)
	return err == nil && file == blob
}
