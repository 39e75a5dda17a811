package rpm

import (
	"bytes"
	"encoding/binary"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Tags of a header that are read (rpm, "Package tags").
const (
	tagName       = 1000
	tagVersion    = 1001
	tagRelease    = 1002
	tagEpoch      = 1003
	tagLicence    = 1014
	tagArch       = 1022
	tagSource     = 1044
	tagDirIndexes = 1116
	tagBaseNames  = 1117
	tagDirNames   = 1118
	tagModule     = 5096
)

// Types of a tag's value.
const (
	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
	typeI18N        = 9
)

const (
	maxTags   = 0xffff    // as rpm itself bounds it
	tagSize   = 16        // bytes of an entry of the index
	introSize = 8         // bytes before the index
	maxHeader = 256 << 20 // as rpm itself bounds it

	maxValue   = 64 << 10 // bytes of a value that is looked at
	maxName    = 255      // bytes of a file's name
	maxPath    = 4096     // bytes of a folder's
	maxFolders = 1 << 20  // of one package
)

// pkg is what a header says of its package.
type pkg struct {
	name, version, release, arch, source, licence, module string

	epoch    uint32
	hasEpoch bool

	names, dirs, dirIndexes []byte // of the package's files, as they lie in the header
}

// header is a package's header as it lies in the database: the number of tags
// and of bytes, the index, and the values, all big-endian.
type header struct {
	index, data []byte
}

func parseHeader(b []byte) (*pkg, error) {
	if len(b) < introSize || len(b) > maxHeader {
		return nil, fault.Errorf(fault.Invalid, "a header of %d bytes", len(b))
	}
	tags, size := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	if tags < 1 || tags > maxTags || introSize+tags*tagSize+size > int64(len(b)) {
		return nil, fault.Errorf(fault.Invalid, "a header of %d bytes says that it has %d tags and %d bytes", len(b), tags, size)
	}
	start := introSize + tags*tagSize
	h := header{index: b[introSize:start], data: b[start : start+size]}
	p := &pkg{}
	var names, dirs, dirIndexes []byte
	for ; len(h.index) > 0; h.index = h.index[tagSize:] {
		tag, typ := binary.BigEndian.Uint32(h.index), binary.BigEndian.Uint32(h.index[4:])
		switch {
		case tag == tagEpoch && typ == typeInt32:
			v, err := h.ints()
			if err != nil || len(v) < 4 {
				return nil, fault.Errorf(fault.Invalid, "package %q: the epoch is not in the header", p.name)
			}
			p.epoch, p.hasEpoch = binary.BigEndian.Uint32(v), true
		case tag == tagBaseNames && typ == typeStringArray:
			names = h.rest()
		case tag == tagDirNames && typ == typeStringArray:
			dirs = h.rest()
		case tag == tagDirIndexes && typ == typeInt32:
			dirIndexes, _ = h.ints()
		case typ == typeString || typ == typeI18N || typ == typeStringArray:
			if to := p.text(tag); to != nil {
				if *to != "" {
					return nil, fault.Errorf(fault.Invalid, "package %q: the tag %d is in the header twice", p.name, tag)
				}
				*to = string(first(h.rest(), maxValue))
			}
		}
	}
	if p.name == "" || p.version == "" {
		return nil, fault.Errorf(fault.Invalid, "a header names no package or no version")
	}
	p.names, p.dirs, p.dirIndexes = names, dirs, dirIndexes
	return p, nil
}

// text returns where the value of a tag goes, nil if nowhere.
func (p *pkg) text(tag uint32) *string {
	switch tag {
	case tagName:
		return &p.name
	case tagVersion:
		return &p.version
	case tagRelease:
		return &p.release
	case tagArch:
		return &p.arch
	case tagSource:
		return &p.source
	case tagLicence:
		return &p.licence
	case tagModule:
		return &p.module
	}
	return nil
}

// rest returns the values from the present tag's on.
func (h *header) rest() []byte {
	at := binary.BigEndian.Uint32(h.index[8:])
	if int64(at) >= int64(len(h.data)) {
		return nil
	}
	return h.data[at:]
}

// ints returns the present tag's array of 32-bit numbers.
func (h *header) ints() ([]byte, error) {
	b, n := h.rest(), int64(binary.BigEndian.Uint32(h.index[12:]))*4
	if n > int64(len(b)) {
		return nil, fault.Errorf(fault.Invalid, "an array is longer than its header")
	}
	return b[:n], nil
}

// first returns the first of the strings in b, cut at most bytes.
func first(b []byte, most int) []byte {
	s, _, _ := bytes.Cut(b[:min(len(b), most)], []byte{0})
	return s
}

// own notes the files of the package that matter: names[i] lies in the
// directory dirs[dirIndexes[i]].
func (p *pkg) own(out *scan.Owned) error {
	var folders [][]byte
	names, dirs := p.names, p.dirs
	for at := p.dirIndexes; len(at) >= 4 && len(names) > 0; at = at[4:] {
		name := first(names, len(names))
		names = names[min(len(name)+1, len(names)):]
		if len(name) > maxName || !scan.MayOwn(string(name)) {
			continue
		}
		i := binary.BigEndian.Uint32(at)
		for uint64(len(folders)) <= uint64(i) && len(dirs) > 0 && len(folders) < maxFolders {
			d := first(dirs, len(dirs))
			dirs = dirs[min(len(d)+1, len(dirs)):]
			folders = append(folders, d)
		}
		if uint64(i) >= uint64(len(folders)) || len(folders[i]) > maxPath {
			continue
		}
		if err := out.Add(strings.TrimSuffix(string(folders[i]), "/"), string(name), p.name, inventory.RPM); err != nil {
			return err
		}
	}
	return nil
}
