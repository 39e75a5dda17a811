package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// epoch is the date of everything that has none of its own.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A tree writes the files of one layer. Paths are relative to the image's root;
// the top folders bin, sbin, lib and lib64 are those of usr.
type tree struct {
	*tar.Writer
	seen map[string]bool
}

func newTree(w io.Writer) *tree {
	return &tree{tar.NewWriter(w), map[string]bool{}}
}

// place returns where path lies in a file system whose /usr is merged.
func place(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	top, rest, _ := strings.Cut(name, "/")
	switch top {
	case "bin", "sbin", "lib", "lib32", "lib64", "libx32":
		return path.Join("usr", top, rest)
	}
	return name
}

// copy writes an entry that another tar file holds, with its owner, mode and
// date. A folder or file that is there already stays as it is.
func (t *tree) copy(h *tar.Header, body io.Reader) error {
	out := &tar.Header{
		Typeflag: h.Typeflag, Name: place(h.Name), Linkname: h.Linkname, Size: h.Size,
		Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, ModTime: h.ModTime, Devmajor: h.Devmajor, Devminor: h.Devminor,
	}
	if out.Name == "" || t.seen[out.Name] {
		return nil
	}
	if h.Typeflag == tar.TypeLink {
		out.Linkname = place(h.Linkname)
	}
	t.seen[out.Name] = true
	if h.Typeflag == tar.TypeDir {
		out.Name += "/"
	}
	if err := t.WriteHeader(out); err != nil {
		return fmt.Errorf("write %q: %w", out.Name, err)
	}
	if _, err := io.Copy(t, body); err != nil {
		return fmt.Errorf("write %q: %w", out.Name, err)
	}
	return nil
}

// parents writes the folders above name.
func (t *tree) parents(name string) error {
	if dir := path.Dir(place(name)); dir != "." && !t.seen[dir] {
		if err := t.parents(dir); err != nil {
			return err
		}
		return t.copy(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: epoch}, strings.NewReader(""))
	}
	return nil
}

// file writes a file of root's with the folders above it.
func (t *tree) file(name string, mode int64, body string) error {
	if err := t.parents(name); err != nil {
		return err
	}
	return t.copy(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, ModTime: epoch, Size: int64(len(body))}, strings.NewReader(body))
}

// link writes a symbolic link.
func (t *tree) link(name, target string) error {
	if t.seen[name] {
		return nil
	}
	t.seen[name] = true
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: epoch})
}

// folder writes what is in the folder dir of this machine below the path to,
// as root's.
func (t *tree) folder(dir, to string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil || rel == "." {
			return err
		}
		if err := t.parents(path.Join(to, rel)); err != nil {
			return err
		}
		return t.local(name, d, path.Join(to, rel))
	})
}

// local writes one file of this machine.
func (t *tree) local(name string, d fs.DirEntry, to string) error {
	switch {
	case d.IsDir():
		return t.copy(&tar.Header{Typeflag: tar.TypeDir, Name: to, Mode: 0o755, ModTime: epoch}, strings.NewReader(""))
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		if err != nil {
			return fmt.Errorf("read link: %w", err)
		}
		return t.link(to, target)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at file: %w", err)
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return t.copy(&tar.Header{Typeflag: tar.TypeReg, Name: to, Mode: mode, ModTime: epoch, Size: info.Size()}, f)
}
