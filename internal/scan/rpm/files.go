package rpm

import (
	"bytes"
	"encoding/binary"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

const (
	maxName    = 255     // bytes of a file's name
	maxPath    = 4096    // bytes of a folder's
	maxFolders = 1 << 20 // of one package

	modeType    = 0o170000 // as in stat(2)
	modeRegular = 0o100000
	modeRun     = 0o111

	flagConfig = 1 << 0 // the administrator may change the file
	flagGhost  = 1 << 6 // the package names the file and does not bring it
)

// algorithms are the digests of files that are understood, by the numbers that
// OpenPGP gives them (RFC 9580, 9.5); others are passed over.
var algorithms = map[uint32]string{1: "md5", 2: "sha1", 8: "sha256"}

// files are the arrays about a package's files as they lie in its header, one
// element each, where they are there at all.
type files struct {
	names, dirs, dirIndexes                []byte
	modes, flags, colours, states, digests []byte
	algorithm                              []byte
}

// take reads the present tag if it is about files. An array that does not fit
// into the header is as good as none.
func (f *files) take(h *header, tag, typ uint32) bool {
	var to *[]byte
	var width int64
	switch {
	case tag == tagBaseNames && typ == typeStringArray:
		to = &f.names
	case tag == tagDirNames && typ == typeStringArray:
		to = &f.dirs
	case tag == tagDigests && typ == typeStringArray:
		to = &f.digests
	case tag == tagDirIndexes && typ == typeInt32:
		to, width = &f.dirIndexes, 4
	case tag == tagFlags && typ == typeInt32:
		to, width = &f.flags, 4
	case tag == tagColours && typ == typeInt32:
		to, width = &f.colours, 4
	case tag == tagAlgorithm && typ == typeInt32:
		to, width = &f.algorithm, 4
	case tag == tagModes && typ == typeInt16:
		to, width = &f.modes, 2
	case tag == tagStates && typ == typeChar:
		to, width = &f.states, 1
	default:
		return false
	}
	if width == 0 {
		*to = h.rest()
	} else {
		*to, _ = h.array(width)
	}
	return true
}

// file is one file of a package.
type file struct {
	name, digest  []byte
	dir           uint32
	mode          uint16
	flags, colour uint32
	state         byte
}

// next takes the next file off the arrays; false if there is none.
func (f *files) next() (one file, ok bool) {
	if len(f.dirIndexes) < 4 || len(f.names) == 0 {
		return one, false
	}
	one.name, f.names = word(f.names)
	one.digest, f.digests = word(f.digests)
	one.dir, f.dirIndexes = binary.BigEndian.Uint32(f.dirIndexes), f.dirIndexes[4:]
	if len(f.modes) >= 2 {
		one.mode, f.modes = binary.BigEndian.Uint16(f.modes), f.modes[2:]
	}
	if len(f.flags) >= 4 {
		one.flags, f.flags = binary.BigEndian.Uint32(f.flags), f.flags[4:]
	}
	if len(f.colours) >= 4 {
		one.colour, f.colours = binary.BigEndian.Uint32(f.colours), f.colours[4:]
	}
	if len(f.states) >= 1 {
		one.state, f.states = f.states[0], f.states[1:]
	}
	return one, true
}

// word takes the first string off b.
func word(b []byte) (s, rest []byte) {
	s, rest, _ = bytes.Cut(b, []byte{0})
	return s, rest
}

// runs reports whether the file is there as the package brought it, and can be
// run: rpm gives colours to ELF files. A file in the state "replaced" or "not
// installed" is not this package's.
func (f *file) runs() bool {
	return f.mode&modeType == modeRegular && (f.mode&modeRun != 0 || f.colour != 0) && f.state == 0 && f.flags&flagGhost == 0
}

// claim notes the files of the package that can be run, and metadata of a
// language's packages. What a configuration file holds is up to the
// administrator: it is claimed without its sum.
func (p *pkg) claim(claims *scan.Claims) error {
	var folders [][]byte
	var path []byte
	algorithm := "md5" // where the header does not say: rpm before 4.6
	if len(p.files.algorithm) >= 4 {
		algorithm = algorithms[binary.BigEndian.Uint32(p.files.algorithm)]
	}
	for {
		one, ok := p.files.next()
		if !ok {
			return nil
		}
		if len(one.name) > maxName || !one.runs() && !inventory.MayOwn(string(one.name)) {
			continue
		}
		for uint64(len(folders)) <= uint64(one.dir) && len(p.files.dirs) > 0 && len(folders) < maxFolders {
			var d []byte
			d, p.files.dirs = word(p.files.dirs)
			folders = append(folders, d)
		}
		if uint64(one.dir) >= uint64(len(folders)) || len(folders[one.dir]) > maxPath {
			continue
		}
		if one.flags&flagConfig != 0 {
			one.digest = nil
		}
		path = append(append(path[:0], folders[one.dir]...), one.name...)
		if err := claims.AddRunnable(path, p.name, inventory.RPM, algorithm, one.digest); err != nil {
			return err
		}
	}
}
