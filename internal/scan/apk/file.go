package apk

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
)

const (
	maxName = 255  // bytes of a file's name
	maxDir  = 4096 // bytes of a directory's path
)

// file is one file of a package: its path, and what the lines after it say.
type file struct {
	path      []byte
	run       bool   // somebody may execute it
	algorithm string // of digits, "" if none is known
	digits    []byte // in hexadecimal
	raw       []byte
}

// begin takes the file's name. The lines that give its mode and its sum follow.
func (f *file) begin(dir, name []byte) {
	f.path, f.run, f.algorithm, f.digits = f.path[:0], false, "", f.digits[:0]
	if len(name) > maxName || len(dir) > maxDir {
		return
	}
	f.path = append(append(append(f.path, dir...), '/'), name...)
}

// mode takes "UID:GID:MODE", the mode in octal digits. Without the line it is
// 0644.
func (f *file) mode(value []byte) {
	_, value, _ = bytes.Cut(value, []byte(":"))
	_, value, _ = bytes.Cut(value, []byte(":"))
	value, _, _ = bytes.Cut(value, []byte(":"))
	mode, err := strconv.ParseUint(string(value), 8, 16)
	f.run = err == nil && mode&0o111 != 0
}

// checksum takes "Q1" and a SHA-1 in base64, or "Q2" and a SHA-256. That of a
// symbolic link is of its target's name: a file in its place is not what the
// package brought, so that the sum is right to differ.
func (f *file) checksum(value []byte) {
	form, value, ok := cutForm(value)
	if !ok || base64.StdEncoding.DecodedLen(len(value)) > 64 {
		return
	}
	f.raw = append(f.raw[:0], make([]byte, base64.StdEncoding.DecodedLen(len(value)))...)
	n, err := base64.StdEncoding.Decode(f.raw, value)
	switch {
	case err != nil:
		return
	case form == '1' && n == 20:
		f.algorithm = "sha1"
	case form == '2' && n == 32:
		f.algorithm = "sha256"
	default:
		return
	}
	f.digits = hex.AppendEncode(f.digits[:0], f.raw[:n])
}

func cutForm(value []byte) (form byte, rest []byte, ok bool) {
	if len(value) < 2 || value[0] != 'Q' {
		return 0, nil, false
	}
	return value[1], value[2:], true
}
