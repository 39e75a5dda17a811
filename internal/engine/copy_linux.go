package engine

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// worker copies files inside of a container.
type worker struct {
	errand

	root     int // of the container, O_PATH
	files    int // the helper's own, by their number (/proc/self/fd), O_PATH
	out      *os.File
	reported bool
}

// failure is what a client is told.
type failure struct {
	status  int
	message string
}

func (f *failure) Error() string { return f.message }

// pathStat is what the engine's API says of a path (Engine API, "Get information
// about files in a container").
type pathStat struct {
	Name       string      `json:"name"`
	Size       int64       `json:"size"`
	Mode       fs.FileMode `json:"mode"`
	Mtime      time.Time   `json:"mtime"`
	LinkTarget string      `json:"linkTarget"`
}

// openBelow opens a folder below the container's root: links lead nowhere else, and
// the kernel's magic links nowhere at all.
func (w *worker) openBelow(name string) (int, error) {
	return unix.Openat2(w.root, name, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// openChild opens a name in a folder, never through a link.
func openChild(dir int, name string, flags int) (int, error) {
	return unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

func (w *worker) failed(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return &failure{http.StatusNotFound, "Could not find the file " + w.Path + " in the container"}
	case errors.Is(err, unix.ENOTDIR):
		return &failure{http.StatusBadRequest, "not a directory"}
	}
	return &failure{http.StatusForbidden, "plimsoll: " + strconv.Quote(w.Path) + ": " + err.Error()}
}

func (w *worker) work() error {
	if w.Method == http.MethodPut {
		return w.extract()
	}
	dir, base, err := w.split()
	if err != nil {
		return w.failed(err)
	}
	fd, err := openChild(dir, base, unix.O_PATH)
	if err != nil {
		return w.failed(err)
	}
	stat, err := w.stat(fd)
	if err != nil {
		return w.failed(err)
	}
	if err := w.say(report{Status: http.StatusOK, Stat: stat}); err != nil || w.Method == http.MethodHead {
		return err
	}
	t := tar.NewWriter(w.out)
	name := path.Base(path.Clean("/" + w.Path))
	if base == "." {
		name = "."
	}
	if err := (&packer{t: t, seen: map[[2]uint64]string{}}).add(dir, base, name); err != nil {
		return err
	}
	return t.Close()
}

// split opens the folder that holds what the path names. Like the engine it
// follows a link at the end only where the path goes on behind it ("/link/.").
func (w *worker) split() (dir int, base string, err error) {
	clean := path.Clean("/" + w.Path)
	if strings.HasSuffix(w.Path, "/") || strings.HasSuffix(w.Path, "/.") || clean == "/" {
		dir, err = w.openBelow(clean)
		return dir, ".", err
	}
	dir, err = w.openBelow(path.Dir(clean))
	return dir, path.Base(clean), err
}

func (w *worker) stat(fd int) (*pathStat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	s := &pathStat{Name: path.Base(path.Clean("/" + w.Path)), Size: st.Size, Mode: fileMode(st.Mode), Mtime: time.Unix(st.Mtim.Unix()).UTC()}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		target, err := readLink(fd, "")
		if err != nil {
			return nil, err
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(path.Clean("/"+w.Path)), target)
		}
		s.LinkTarget = path.Clean(target)
	}
	return s, nil
}

func readLink(at int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(at, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// fileMode returns Go's form of a file's mode, which is what the API carries.
func fileMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	case unix.S_IFBLK:
		mode |= fs.ModeDevice
	case unix.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	}
	for bit, of := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if m&bit != 0 {
			mode |= of
		}
	}
	return mode
}

// packer writes what it finds into an archive.
type packer struct {
	t    *tar.Writer
	seen map[[2]uint64]string // files with several names: device and inode → name in the archive
}

const maxSeen = 1 << 20 // files with several names that are remembered

// add writes the file base of the folder dir under the name given, and everything
// below it.
func (p *packer) add(dir int, base, name string) error {
	fd, err := openChild(dir, base, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		return nil // removed in the meantime
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid), ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return p.file(dir, base, h, &st)
	case unix.S_IFDIR:
		return p.folder(fd, h)
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = readLink(fd, ""); err != nil {
			return err
		}
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default:
		return nil // sockets are in no archive
	}
	return p.t.WriteHeader(h)
}

// reopen opens what an O_PATH descriptor stands for: the very file, whatever has
// its name by now.
func reopen(fd, flags int) (*os.File, error) {
	n, err := unix.Openat(fd, ".", flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(n), "folder"), nil
}

func (p *packer) folder(fd int, h *tar.Header) error {
	h.Typeflag = tar.TypeDir
	name := h.Name
	h.Name += "/"
	if err := p.t.WriteHeader(h); err != nil {
		return err
	}
	f, err := reopen(fd, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000)
		for _, n := range names {
			if err := p.add(int(f.Fd()), n, path.Join(name, n)); err != nil { // #nosec G305 -- a name for the archive, nothing is opened by it
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *packer) file(dir int, base string, h *tar.Header, st *unix.Stat_t) error {
	key := [2]uint64{st.Dev, st.Ino}
	if first, ok := p.seen[key]; ok && st.Nlink > 1 {
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return p.t.WriteHeader(h)
	}
	if st.Nlink > 1 && len(p.seen) < maxSeen {
		p.seen[key] = h.Name
	}
	f, err := openFile(dir, base, st)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Typeflag, h.Size = tar.TypeReg, st.Size
	if err := p.t.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyN(p.t, f, st.Size)
	if errors.Is(err, io.EOF) { // shrunk while it was read: the rest is empty
		_, err = io.CopyN(p.t, zeros{}, st.Size-n)
	}
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// openFile opens the regular file that was looked at.
func openFile(dir int, base string, st *unix.Stat_t) (*os.File, error) {
	n, err := openChild(dir, base, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(n), "file")
	var again unix.Stat_t
	if err := unix.Fstat(n, &again); err != nil || again.Dev != st.Dev || again.Ino != st.Ino {
		_ = f.Close()
		return nil, errors.New("a file was exchanged while it was copied")
	}
	return f, nil
}
