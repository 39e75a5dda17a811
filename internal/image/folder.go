package image

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"plimsoll/internal/fault"
)

// folder is a root file system. It is read through [os.Root], one folder at a
// time, so that no link leads out of it or in circles. Devices, pipes and
// sockets have no bytes and are left out, and so are other file systems mounted
// below it. A name that would be a whiteout in a layer is a name like any other.
type folder struct{ path string }

func openFolder(path string) (folder, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fault.Hint(fault.Errorf(fault.Invalid, "%q is not a folder", path), "file:%s", path)
	}
	return folder{path}, err
}

func (f folder) entries(w *treeWalk) error {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	d := &descent{treeWalk: w, device: place(info).device, seen: map[inode]string{}}
	return d.folder(root, ".", info, 0)
}

// inode is what tells one file of a machine from all others.
type inode struct{ device, number uint64 }

func place(info fs.FileInfo) inode {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}
	}
	return inode{uint64(st.Dev), st.Ino} //nolint:unconvert // of another type on other systems
}

// descent is one walk down a folder.
type descent struct {
	*treeWalk
	device uint64
	seen   map[inode]string // folders, and files of several names
}

// folder walks the open folder dir, which it does not close.
func (d *descent) folder(dir *os.Root, name string, info fs.FileInfo, depth int) error {
	if err := d.hand(d.entry(name, Directory, info)); err != nil {
		return err
	}
	d.seen[place(info)] = name
	names, err := d.names(dir, name)
	if err != nil {
		return err
	}
	for _, base := range names {
		if err := d.one(dir, base, path.Join(name, base), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (d *descent) entry(name string, t EntryType, info fs.FileInfo) Entry {
	e := Entry{Path: name, Type: t, Mode: int64(info.Mode().Perm()), Modified: info.ModTime()}
	for bit, mode := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if info.Mode()&mode != 0 {
			e.Mode |= bit
		}
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.UID, e.GID = int(st.Uid), int(st.Gid)
	}
	return e
}

// hand hands out an entry without content.
func (d *descent) hand(e Entry) error {
	if err := d.next(); err != nil {
		return err
	}
	return d.fn(e, nothing{})
}

// names returns what is in a folder, sorted. Its error ends the walk: that a
// folder cannot be listed is only noted.
func (d *descent) names(dir *os.Root, name string) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		d.failed(name, err)
		return nil, nil
	}
	defer func() { _ = f.Close() }()
	var names []string
	for {
		more, err := f.Readdirnames(1000)
		names = append(names, more...)
		switch {
		case len(names) > d.caps.Entries:
			return nil, fault.Errorf(fault.Invalid, "more than %d entries", d.caps.Entries)
		case errors.Is(err, io.EOF):
			slices.Sort(names)
			return names, nil
		case err != nil:
			d.failed(name, err)
			slices.Sort(names)
			return names, nil
		}
	}
}

// one walks one name of a folder. What is gone by now was never there.
func (d *descent) one(dir *os.Root, base, name string, depth int) error {
	info, err := dir.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && (len(name) > maxPath || depth > maxDepth):
		err = errors.New("it lies too deep")
	}
	if err != nil {
		d.failed(name, err)
		return d.next()
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return d.below(dir, base, name, info, depth)
	case mode&fs.ModeSymlink != 0:
		return d.symlink(dir, base, name, info)
	case mode.IsRegular():
		return d.file(dir, base, name, info)
	}
	return nil
}

// below walks a folder in dir.
func (d *descent) below(dir *os.Root, base, name string, info fs.FileInfo, depth int) error {
	if _, again := d.seen[place(info)]; again { // mounted twice
		return d.hand(d.entry(name, Directory, info))
	}
	sub, err := openSameFolder(dir, base, info)
	if err != nil {
		d.failed(name, err)
		return d.next()
	}
	defer func() { _ = sub.Close() }()
	if place(info).device == d.device {
		return d.folder(sub, name, info, depth)
	}
	if err := mounted(sub); err != nil {
		d.failed(name, err)
	}
	return d.hand(d.entry(name, Directory, info))
}

var errReplaced = errors.New("it was replaced while it was read")

// openSameFolder opens the folder that info describes.
func openSameFolder(dir *os.Root, base string, info fs.FileInfo) (*os.Root, error) {
	sub, err := dir.OpenRoot(base)
	if err != nil {
		return nil, err
	}
	is, err := sub.Stat(".")
	if err == nil && !os.SameFile(is, info) {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(err, sub.Close())
	}
	return sub, nil
}

func (d *descent) symlink(dir *os.Root, base, name string, info fs.FileInfo) error {
	target, err := dir.Readlink(base)
	if err != nil {
		d.failed(name, err)
		return d.next()
	}
	e := d.entry(name, Symlink, info)
	e.Link = target
	return d.hand(e)
}

// file walks a regular file; further names of one are hard links to the first.
func (d *descent) file(dir *os.Root, base, name string, info fs.FileInfo) error {
	if first, again := d.seen[place(info)]; again {
		e := d.entry(name, Hardlink, info)
		e.Link = first
		return d.hand(e)
	}
	if err := d.next(); err != nil {
		return err
	}
	f, err := openSame(dir, base, info)
	if err != nil {
		d.failed(name, err)
		return nil
	}
	defer func() { _ = f.Close() }()
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Nlink > 1 {
		d.seen[place(info)] = name
	}
	e := d.entry(name, Regular, info)
	e.Size = info.Size()
	return d.regular(e, f)
}

// openSame opens the regular file that info describes: never a pipe that came in
// its place, which nobody may ever write to.
func openSame(dir *os.Root, base string, info fs.FileInfo) (*os.File, error) {
	f, err := dir.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	is, err := f.Stat()
	if err == nil && !os.SameFile(is, info) {
		err = errReplaced
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// singleFile is a file that is walked as the only one of an image, under its
// base name.
type singleFile struct{ path string }

func openSingleFile(path string) (singleFile, error) {
	f, err := openRegular(path)
	if err != nil {
		return singleFile{}, err
	}
	defer func() { _ = f.Close() }()
	var head [512]byte
	if n, err := f.ReadAt(head[:], 0); n == len(head) && (err == nil || errors.Is(err, io.EOF)) && string(head[257:262]) == "ustar" {
		err := fault.Errorf(fault.Invalid, "%q is a tar archive, which nobody would look into", path)
		return singleFile{}, fault.Hint(err, "an image that docker save wrote is docker-archive:%s; a root file system must be unpacked, and is then dir:FOLDER", path)
	}
	return singleFile{path}, nil
}

func (s singleFile) entries(w *treeWalk) error {
	f, err := openRegular(s.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.next(); err != nil {
		return err
	}
	d := descent{treeWalk: w}
	e := d.entry(filepath.Base(s.path), Regular, info)
	e.Size = info.Size()
	return d.regular(e, f)
}
