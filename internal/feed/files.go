package feed

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"plimsoll/internal/fault"
)

// Caps on an archive.
const (
	archiveBytes   = 8 << 30 // uncompressed
	archiveEntries = 2_000_000
	archiveWindow  = 128 << 20 // zstd --long=27
)

// each calls fn with every file of the source that holds advisories.
func (s *source) each(ctx context.Context, root *os.Root, fn func(name string, body []byte) error) error {
	info, err := root.Stat(s.Path)
	switch {
	case err != nil:
		return fmt.Errorf("look at %q: %w", s.Path, err)
	case info.IsDir():
		return s.eachInDir(ctx, root, fn)
	case strings.HasSuffix(s.Path, ".tar.zst"):
		return s.eachInArchive(ctx, root, fn)
	}
	return s.one(root.FS(), s.Path, fn)
}

func (s *source) eachInDir(ctx context.Context, root *os.Root, fn func(string, []byte) error) error {
	return fs.WalkDir(root.FS(), s.Path, func(name string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		inside := strings.TrimPrefix(name, s.Path+"/")
		if d.IsDir() || name == manifestName || !s.wants(inside) {
			return nil
		}
		return s.one(root.FS(), name, fn)
	})
}

func (s *source) one(fsys fs.FS, name string, fn func(string, []byte) error) error {
	f, err := fsys.Open(name)
	if err != nil {
		return fmt.Errorf("open %q: %w", name, err)
	}
	defer f.Close()
	body, err := s.read(name, f)
	if err != nil {
		return err
	}
	return fn(name, body)
}

// read returns all of r, which may not be larger than the format allows.
func (s *source) read(name string, r io.Reader) ([]byte, error) {
	limit := formats[s.Format].max
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fault.Errorf(fault.Invalid, "read %q: larger than %d bytes", name, limit)
	}
	return b, nil
}

// eachInArchive reads a tar archive compressed with zstd, once and in order.
func (s *source) eachInArchive(ctx context.Context, root *os.Root, fn func(string, []byte) error) error {
	f, err := root.Open(s.Path)
	if err != nil {
		return fmt.Errorf("open %q: %w", s.Path, err)
	}
	defer f.Close()
	z, err := zstd.NewReader(bufio.NewReaderSize(f, 1<<16), zstd.WithDecoderMaxWindow(archiveWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return fault.Errorf(fault.Invalid, "open %q: %w", s.Path, err)
	}
	defer z.Close()
	plain := &io.LimitedReader{R: z, N: archiveBytes}
	for r, n := tar.NewReader(plain), 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) && plain.N > 0 {
			return nil
		}
		if err != nil {
			return fault.Errorf(fault.Invalid, "read %q: %w", s.Path, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if n == archiveEntries {
			return fault.Errorf(fault.Invalid, "read %q: more than %d entries", s.Path, archiveEntries)
		}
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || !s.wants(name) {
			continue
		}
		body, err := s.read(s.Path+"/"+name, r)
		if err != nil {
			return err
		}
		if err := fn(name, body); err != nil {
			return err
		}
	}
}

// below reports whether name lies in the folder dir.
func below(name, dir string) bool {
	return dir == "" || strings.HasPrefix(name, path.Clean(dir)+"/")
}
