//go:build linux

package engines

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"plimsoll/internal/tools/debian"
)

// Busybox returns the path of a static busybox: the machine's own, or that of
// Debian's busybox-static, unpacked in the folder cache.
func Busybox(ctx context.Context, cache string, say func(string, ...any)) (string, error) {
	if path, err := exec.LookPath("busybox"); err == nil && static(path) {
		return path, nil
	}
	dir, err := filepath.Abs(filepath.Join(cache, "busybox"))
	if err != nil {
		return "", fmt.Errorf("find cache: %w", err)
	}
	path := filepath.Join(dir, "bin", "busybox")
	if static(path) {
		return path, nil
	}
	m, err := debian.ThisMachine(ctx)
	if err != nil {
		return "", err
	}
	root, err := debian.HostRoot(ctx, m, cache, say)
	if err != nil {
		return "", err
	}
	packages, err := root.Find(ctx, "busybox-static")
	if err != nil {
		return "", err
	}
	if err := root.Unpack(ctx, packages, dir); err != nil {
		return "", err
	}
	if !static(path) {
		return "", fmt.Errorf("busybox-static: %s is not a static program", path)
	}
	return path, nil
}

// static reports whether path is a program that needs no libraries.
func static(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

// File is one file of an image beside busybox.
type File struct {
	Name  string // without a slash in front
	Mode  int64
	Text  []byte
	Xattr map[string]string // extended attributes
}

// Image writes the root of an image as a tar archive: busybox under all its
// names, the accounts root and app (1000), and files.
func Image(ctx context.Context, w io.Writer, busybox string, files ...File) error {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return fmt.Errorf("read busybox: %w", err)
	}
	names, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("ask busybox for its names: %w", err)
	}
	t := tar.NewWriter(w)
	put := func(h tar.Header, text []byte) error {
		h.Size, h.ModTime, h.Format = int64(len(text)), time.Unix(0, 0), tar.FormatPAX
		if err := t.WriteHeader(&h); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
		_, err := t.Write(text)
		return err
	}
	var errs []error
	for _, dir := range []string{"bin/", "etc/", "proc/", "sys/", "dev/", "root/", "home/", "run/"} {
		errs = append(errs, put(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil))
	}
	errs = append(errs,
		put(tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}, nil),
		put(tar.Header{Typeflag: tar.TypeDir, Name: "home/app/", Mode: 0o755, Uid: 1000, Gid: 1000}, nil),
		put(tar.Header{Name: "bin/busybox", Mode: 0o755}, program),
		put(tar.Header{Name: "etc/passwd", Mode: 0o644}, []byte("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")),
		put(tar.Header{Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\napp:x:1000:\n")))
	for name := range strings.FieldsSeq(string(names)) {
		if name != "busybox" {
			errs = append(errs, put(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox", Mode: 0o777}, nil))
		}
	}
	for _, f := range files {
		h := tar.Header{Name: f.Name, Mode: f.Mode, PAXRecords: map[string]string{}}
		for key, value := range f.Xattr {
			h.PAXRecords["SCHILY.xattr."+key] = value
		}
		errs = append(errs, put(h, f.Text))
	}
	return errors.Join(append(errs, t.Close())...)
}

// Import makes an image of a root that Image wrote.
func (e *Engine) Import(ctx context.Context, name string, root []byte, changes ...string) error {
	args := []string{"import"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	if r := e.DockerIn(ctx, bytes.NewReader(root), append(args, "-", name)...); r.Code != 0 {
		return fmt.Errorf("import image %s: %s", name, r.Err)
	}
	return nil
}
