package dotnet

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"

	"plimsoll/internal/fault"
	"plimsoll/internal/scan"
)

// Bounds on what is read of a PE file (Microsoft's "PE Format").
const (
	maxOptional = 4096 // bytes of the optional header
	maxSections = 96   // as the loader allows
	maxEntries  = 4096 // of a resource directory
	maxVersion  = 256 << 10
	maxTexts    = 1024 // of a version resource

	resourceTable = 2  // data directory
	cliHeader     = 14 // data directory that only assemblies have
	typeVersion   = 16 // RT_VERSION
)

var errMalformed = fault.Errorf(fault.Invalid, "its version resource is malformed")

// pe is a PE file and where its sections lie.
type pe struct {
	io.ReaderAt
	size     int64
	sections []byte // table of 40 bytes each
	tables   [16]struct{ address, size uint32 }
}

// readVersion returns the texts of the version resource of an assembly, nil if
// the file is none or has no such resource.
func readVersion(r scan.ReaderAt) (version, error) {
	f := openPE(r)
	if f == nil || f.tables[cliHeader].address == 0 || f.tables[resourceTable].address == 0 {
		return nil, nil
	}
	at, ok := f.offset(f.tables[resourceTable].address)
	if !ok {
		return nil, errMalformed
	}
	entry, found, err := f.resource(at)
	if err != nil || !found {
		return nil, err
	}
	head := f.bytes(entry, 8)
	if head == nil {
		return nil, errMalformed
	}
	at, ok = f.offset(binary.LittleEndian.Uint32(head))
	n := binary.LittleEndian.Uint32(head[4:])
	if !ok || n > maxVersion {
		return nil, errMalformed
	}
	b := f.bytes(at, int64(n))
	if b == nil {
		return nil, errMalformed
	}
	v := version{}
	v.read(b, 0)
	return v, nil
}

// openPE reads the headers, nil if they are not those of a PE file.
func openPE(r scan.ReaderAt) *pe {
	f := &pe{ReaderAt: r, size: r.Size()}
	dos := f.bytes(0, 64)
	if dos == nil {
		return nil
	}
	at := int64(binary.LittleEndian.Uint32(dos[60:]))
	coff := f.bytes(at, 24)
	if coff == nil || string(coff[:4]) != "PE\x00\x00" {
		return nil
	}
	sections, optional := int64(binary.LittleEndian.Uint16(coff[6:])), int64(binary.LittleEndian.Uint16(coff[20:]))
	o := f.bytes(at+24, optional)
	if optional > maxOptional || sections > maxSections || len(o) < 2 {
		return nil
	}
	tables := 96
	if binary.LittleEndian.Uint16(o) == 0x20b { // PE32+
		tables = 112
	}
	for i := range f.tables {
		if t := tables + 8*i; t+8 <= len(o) {
			f.tables[i].address, f.tables[i].size = binary.LittleEndian.Uint32(o[t:]), binary.LittleEndian.Uint32(o[t+4:])
		}
	}
	f.sections = f.bytes(at+24+optional, sections*40)
	return f
}

// bytes returns n bytes of the file, nil if they are not there.
func (f *pe) bytes(at, n int64) []byte {
	if at < 0 || n < 0 || at > f.size-n {
		return nil
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return b
}

// offset returns where in the file what is loaded at address lies.
func (f *pe) offset(address uint32) (int64, bool) {
	for s := f.sections; len(s) >= 40; s = s[40:] {
		start, size := binary.LittleEndian.Uint32(s[12:]), binary.LittleEndian.Uint32(s[16:])
		if into := int64(address) - int64(start); into >= 0 && into < int64(size) {
			return int64(binary.LittleEndian.Uint32(s[20:])) + into, true
		}
	}
	return 0, false
}

// resource returns where the entry of the first version resource lies. The tree
// has three levels, type, name and language; its offsets count from root.
func (f *pe) resource(root int64) (entry int64, found bool, err error) {
	at := root
	for level := range 3 {
		head := f.bytes(at, 16)
		if head == nil {
			return 0, false, errMalformed
		}
		n := int64(binary.LittleEndian.Uint16(head[12:])) + int64(binary.LittleEndian.Uint16(head[14:]))
		if n > maxEntries {
			return 0, false, errMalformed
		}
		list := f.bytes(at+16, 8*n)
		if list == nil {
			return 0, false, errMalformed
		}
		next, ok := uint32(0), false
		for ; len(list) >= 8 && !ok; list = list[8:] {
			if level > 0 || binary.LittleEndian.Uint32(list) == typeVersion {
				next, ok = binary.LittleEndian.Uint32(list[4:]), true
			}
		}
		if !ok {
			return 0, false, nil
		}
		if deeper := next&(1<<31) != 0; deeper != (level < 2) {
			return 0, false, errMalformed
		}
		at = root + int64(next&^(1<<31))
	}
	return at, true, nil
}

// read reads a block of a version resource and those in it: its length, that of
// its value, whether the value is text, a key, the value, blocks, each aligned to
// four bytes (VS_VERSIONINFO). What does not fit is left out.
func (v version) read(b []byte, depth int) {
	const valueLevel = 3 // VS_VERSION_INFO, StringFileInfo, language, text
	for len(b) >= 8 && len(v) < maxTexts {
		n := int(binary.LittleEndian.Uint16(b))
		if n < 6 || n > len(b) {
			return
		}
		block := b[:n]
		b = b[min(align(n), len(b)):]
		key, at := text(block[6:])
		at = align(6 + at)
		length := int(binary.LittleEndian.Uint16(block[2:]))
		if at > len(block) {
			continue
		}
		if depth == valueLevel {
			value, _ := text(block[at:])
			v[key] = value
			continue
		}
		if at = align(at + length); at < len(block) {
			v.read(block[at:], depth+1)
		}
	}
}

func align(n int) int { return (n + 3) &^ 3 }

// text returns the UTF-16 text that b begins with, up to a NUL, and how many
// bytes that takes.
func text(b []byte) (string, int) {
	var units []uint16
	for i := 0; i+1 < len(b); i += 2 {
		u := binary.LittleEndian.Uint16(b[i:])
		if u == 0 {
			return string(utf16.Decode(units)), i + 2
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units)), len(b)
}
