package image

import (
	"archive/tar"
	"path"
	"strings"
	"time"

	"plimsoll/internal/fault"
)

// EntryType is the type of a tar entry, whiteouts included.
type EntryType uint8

// The types of entry (tar(5); OCI image-spec layer.md for whiteouts).
const (
	Regular EntryType = iota
	Directory
	Symlink
	Hardlink
	Char
	Block
	FIFO
	Whiteout // Path names what is removed
	Opaque   // Path names the directory whose lower content is hidden
)

// Entry is one entry of a layer. A path may come twice in one layer; as when a
// layer is unpacked, the later entry replaces the earlier.
type Entry struct {
	Path         string // clean, relative to the root, without a leading slash; "." is the root
	Type         EntryType
	Link         string // target as written (Symlink), or a cleaned path (Hardlink)
	Mode         int64  // permission bits with setuid, setgid and sticky, as in tar
	Size         int64  // of a Regular file, bytes
	UID, GID     int
	Modified     time.Time
	Major, Minor int64             // of Char and Block
	Xattrs       map[string]string // extended attributes (PAX SCHILY.xattr.*)
}

// Bounds on single entries: those of Linux (PATH_MAX, XATTR_NAME_MAX,
// XATTR_SIZE_MAX), and a depth that no real image comes near.
const (
	maxPath       = 4096
	maxDepth      = 256
	maxXattrName  = 255
	maxXattrValue = 64 << 10
	maxXattrs     = 256 << 10
)

const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	xattrPrefix    = "SCHILY.xattr."
)

var entryTypes = map[byte]EntryType{
	tar.TypeReg: Regular, tar.TypeCont: Regular, tar.TypeGNUSparse: Regular, tar.TypeDir: Directory,
	tar.TypeSymlink: Symlink, tar.TypeLink: Hardlink, tar.TypeChar: Char, tar.TypeBlock: Block, tar.TypeFifo: FIFO,
}

// newEntry returns the entry that h describes, or an Invalid error that does
// not yet name it.
func newEntry(h *tar.Header) (Entry, error) {
	t, ok := entryTypes[h.Typeflag]
	if !ok {
		return Entry{}, fault.Errorf(fault.Invalid, "entry type %q is not known", h.Typeflag)
	}
	name, err := cleanPath(h.Name)
	if err != nil {
		return Entry{}, err
	}
	if uint64(h.Uid) > 1<<32-1 || uint64(h.Gid) > 1<<32-1 { //nolint:gosec // negative ones become large
		return Entry{}, fault.Errorf(fault.Invalid, "owner %d:%d is out of range", h.Uid, h.Gid)
	}
	e := Entry{Path: name, Type: t, Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid, Modified: h.ModTime}
	if e, isWhiteout, err := e.whiteout(); isWhiteout || err != nil {
		return e, err
	}
	switch t {
	case Regular:
		e.Size = h.Size
	case Symlink:
		e.Link, err = symlinkTarget(h.Linkname)
	case Hardlink:
		e.Link, err = hardlinkTarget(h.Linkname)
	case Char, Block:
		e.Major, e.Minor = h.Devmajor, h.Devminor
		if t == Char && e.Major == 0 && e.Minor == 0 {
			err = fault.Errorf(fault.Invalid, "a character device 0:0 would act as a whiteout on overlayfs")
		}
	case Directory, FIFO, Whiteout, Opaque:
	}
	if err != nil {
		return Entry{}, err
	}
	e.Xattrs, err = xattrs(h.PAXRecords)
	return e, err
}

// cleanPath returns name relative to the root. A leading slash is taken off, as
// every engine does; an element ".." is refused even where it would stay inside.
func cleanPath(name string) (string, error) {
	if len(name) > maxPath {
		return "", fault.Errorf(fault.Invalid, "path of %d bytes: more than %d", len(name), maxPath)
	}
	if strings.IndexByte(name, 0) >= 0 {
		return "", fault.Errorf(fault.Invalid, "path holds a NUL byte")
	}
	depth := 0
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", fault.Errorf(fault.Invalid, "path escapes from the layer")
		}
		depth++
	}
	if depth > maxDepth {
		return "", fault.Errorf(fault.Invalid, "path is %d deep: more than %d", depth, maxDepth)
	}
	return path.Clean(strings.TrimLeft(name, "/")), nil
}

// whiteout turns e into what its name says (image-spec, layer.md, "Whiteouts").
// Names that engines read in different ways are refused: AUFS's own, and
// whiteouts that are folders of something.
func (e Entry) whiteout() (Entry, bool, error) {
	if !strings.Contains(e.Path, whiteoutPrefix) {
		return e, false, nil
	}
	dir, base := path.Split(e.Path)
	dir = path.Clean(dir)
	if strings.HasPrefix(dir, whiteoutPrefix) || strings.Contains(dir, "/"+whiteoutPrefix) {
		return e, true, fault.Errorf(fault.Invalid, "a whiteout cannot hold files")
	}
	target, ok := strings.CutPrefix(base, whiteoutPrefix)
	switch {
	case !ok:
		return e, false, nil
	case base == opaqueName:
		e.Type, e.Path = Opaque, dir
	case target == "", target == ".", target == "..":
		return e, true, fault.Errorf(fault.Invalid, "a whiteout of nothing")
	case strings.HasPrefix(target, whiteoutPrefix):
		return e, true, fault.Errorf(fault.Invalid, "AUFS metadata, which engines read differently")
	default:
		e.Type, e.Path = Whiteout, path.Join(dir, target)
	}
	return e, true, nil
}

func symlinkTarget(link string) (string, error) {
	if link == "" || len(link) > maxPath {
		return "", fault.Errorf(fault.Invalid, "link target of %d bytes", len(link))
	}
	return link, nil
}

func hardlinkTarget(link string) (string, error) {
	target, err := cleanPath(link)
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "hard link to %q: %w", link, err)
	}
	if target == "." || strings.HasPrefix(target, whiteoutPrefix) || strings.Contains(target, "/"+whiteoutPrefix) {
		return "", fault.Errorf(fault.Invalid, "hard link to %q, which is no file", link)
	}
	return target, nil
}

// xattrs returns the extended attributes among the PAX records. Those that
// steer overlayfs are refused: they would hide or show what no whiteout says.
func xattrs(records map[string]string) (map[string]string, error) {
	var attrs map[string]string
	total := 0
	for key, value := range records {
		name, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		total += len(name) + len(value)
		switch {
		case strings.HasPrefix(name, "trusted.overlay."), strings.HasPrefix(name, "user.overlay."):
			return nil, fault.Errorf(fault.Invalid, "extended attribute %q would steer overlayfs", name)
		case name == "", len(name) > maxXattrName, len(value) > maxXattrValue, total > maxXattrs:
			return nil, fault.Errorf(fault.Invalid, "extended attributes that no file system holds")
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		attrs[name] = value
	}
	return attrs, nil
}
