package rpm

import (
	"bytes"
	"encoding/binary"

	"plimsoll/internal/fault"
)

// Tags of a header that are read (rpm, "Package tags").
const (
	tagName       = 1000
	tagVersion    = 1001
	tagRelease    = 1002
	tagEpoch      = 1003
	tagVendor     = 1011
	tagLicence    = 1014
	tagArch       = 1022
	tagStates     = 1029
	tagModes      = 1030
	tagDigests    = 1035
	tagFlags      = 1037
	tagSource     = 1044
	tagDirIndexes = 1116
	tagBaseNames  = 1117
	tagDirNames   = 1118
	tagColours    = 1140
	tagAlgorithm  = 5011
	tagModule     = 5096
)

// Types of a tag's value.
const (
	typeChar        = 1
	typeInt16       = 3
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

	maxValue = 64 << 10 // bytes of a value that is looked at
)

// pkg is what a header says of its package.
type pkg struct {
	name, version, release, arch, source, licence, vendor, module string

	epoch    uint32
	hasEpoch bool

	files files
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
	for ; len(h.index) > 0; h.index = h.index[tagSize:] {
		if err := p.take(&h); err != nil {
			return nil, err
		}
	}
	if p.name == "" || p.version == "" {
		return nil, fault.Errorf(fault.Invalid, "a header names no package or no version")
	}
	return p, nil
}

// take reads the present tag.
func (p *pkg) take(h *header) error {
	tag, typ := binary.BigEndian.Uint32(h.index), binary.BigEndian.Uint32(h.index[4:])
	switch {
	case tag == tagEpoch && typ == typeInt32:
		v, err := h.array(4)
		if err != nil || len(v) < 4 {
			return fault.Errorf(fault.Invalid, "package %q: the epoch is not in the header", p.name)
		}
		p.epoch, p.hasEpoch = binary.BigEndian.Uint32(v), true
	case p.files.take(h, tag, typ):
	case typ == typeString || typ == typeI18N || typ == typeStringArray:
		if to := p.text(tag); to != nil {
			if *to != "" {
				return fault.Errorf(fault.Invalid, "package %q: the tag %d is in the header twice", p.name, tag)
			}
			*to = string(first(h.rest(), maxValue))
		}
	}
	return nil
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
	case tagVendor:
		return &p.vendor
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

// array returns the present tag's array of numbers of that many bytes.
func (h *header) array(width int64) ([]byte, error) {
	b, n := h.rest(), int64(binary.BigEndian.Uint32(h.index[12:]))*width
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
