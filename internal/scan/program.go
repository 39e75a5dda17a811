package scan

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // what dpkg records
	"crypto/sha1" //nolint:gosec // what apk records
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strings"
	"sync"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// maxPrograms bounds the files that can run, of one layer, that are listed.
const maxPrograms = 1 << 16

// windowSize is how much of a file is read at once where nobody needs more, bytes.
const windowSize = 64 << 10

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

// Machine reports whether a file that begins with head holds machine code, in
// which form: ELF, PE, Mach-O (of one architecture or several) or WebAssembly.
// It is "" otherwise.
func Machine(head []byte) inventory.Form {
	if len(head) < 8 {
		return ""
	}
	switch binary.BigEndian.Uint32(head) {
	case 0x7f454c46:
		return inventory.ELF
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return inventory.MachO
	case 0xcafebabe: // or a Java class, whose version is 45 or more
		if binary.BigEndian.Uint32(head[4:]) < 45 {
			return inventory.MachO
		}
	case 0x0061736d:
		return inventory.Wasm
	}
	if len(head) >= 64 && head[0] == 'M' && head[1] == 'Z' {
		return inventory.PE
	}
	return ""
}

// formOf returns in which form the file can run, "" if it cannot.
func formOf(e image.Entry, head []byte) inventory.Form {
	if form := Machine(head); form != "" {
		return form
	}
	switch {
	case len(head) > 2 && head[0] == '#' && head[1] == '!':
		if e.Mode&0o111 != 0 {
			return inventory.Script
		}
	case bytes.HasPrefix(head, []byte("PK\x03\x04")) && archive(e.Path):
		return inventory.Jar
	}
	return ""
}

// archive reports whether the name is that of a Java archive.
func archive(path string) bool {
	switch i := strings.LastIndexByte(path, '.'); path[max(i, 0):] {
	case ".jar", ".war", ".ear", ".hpi", ".jpi", ".par", ".sar", ".kar", ".nar":
		return true
	}
	return false
}

// hints are what a layer's paths say of the package database that will come.
type hints struct{ dpkg, apk, rpm bool }

// see takes note of a path.
func (h *hints) see(path string) {
	switch path {
	case "etc/debian_version", "etc/dpkg", "var/lib/dpkg":
		h.dpkg = true
	case "etc/alpine-release", "etc/apk", "lib/apk":
		h.apk = true
	case "etc/redhat-release", "etc/rpm", "var/lib/rpm":
		h.rpm = true
	}
}

// sums adds up a file in the ways that package databases and lists of bad files
// use. SHA-256 is always among them; the others are left out where the hints
// name one database that does not use them, because MD5 alone costs as much as
// a quarter of the inflating; where lists of bad files are asked, which may use
// any of them, nothing is left out. A record in a form that was left out counts as one
// of another content.
type sums struct {
	md5, sha1, sha256 hash.Hash
	all               []hash.Hash // those in use
}

func newSums() *sums {
	return &sums{md5: md5.New(), sha1: sha1.New(), sha256: sha256.New()} //nolint:gosec // compared with records, trusted with nothing
}

func (s *sums) reset(h hints) {
	s.all = append(s.all[:0], s.sha256)
	switch h {
	case hints{dpkg: true}:
		s.all = append(s.all, s.md5)
	case hints{apk: true}:
		s.all = append(s.all, s.sha1)
	case hints{rpm: true}:
	default:
		s.all = append(s.all, s.md5, s.sha1)
	}
	for _, h := range s.all {
		h.Reset()
	}
}

func (s *sums) write(p []byte) {
	for _, h := range s.all {
		_, _ = h.Write(p) // never fails
	}
}

func (s *sums) sums() inventory.Sums {
	var out inventory.Sums
	for _, h := range s.all {
		digits := hex.EncodeToString(h.Sum(nil))
		switch h {
		case s.md5:
			out.MD5 = digits
		case s.sha1:
			out.SHA1 = digits
		default:
			out.SHA256 = digits
		}
	}
	return out
}
