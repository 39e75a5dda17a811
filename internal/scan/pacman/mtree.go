package pacman

import (
	"bytes"
	"io"
	"strconv"

	"github.com/klauspost/compress/gzip"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// maxTree bounds a list of files, uncompressed, bytes: the kernel's headers have
// the longest, of a few megabytes.
const maxTree = 64 << 20

// entry is what a line of an mtree(5) says of its file, or "/set" of the files
// after it.
type entry struct {
	file bool
	mode uint64
	sum  []byte
}

// mtree claims the files of the list that can be run.
func mtree(r io.Reader, pkg string, claims *scan.Claims) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fault.Errorf(fault.Invalid, "the list of files is not compressed with gzip: %w", err)
	}
	limited := &io.LimitedReader{R: z, N: maxTree + 1}
	lines := newLines(limited)
	defaults := entry{file: true, mode: 0o644}
	var path []byte
	for lines.Scan() {
		word, rest, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		switch {
		case string(word) == "/set":
			defaults.take(rest)
		case bytes.HasPrefix(word, []byte("./")):
			e := defaults
			e.take(rest)
			path = unescape(path[:0], word[2:])
			if err := e.claim(path, pkg, claims); err != nil {
				return err
			}
		}
	}
	if limited.N == 0 {
		return fault.Errorf(fault.Invalid, "the list of files has more than %d bytes", maxTree)
	}
	if err := ended(lines); err != nil {
		return fault.Errorf(fault.Invalid, "read the list of files: %w", err)
	}
	return nil
}

// take reads the keywords of a line.
func (e *entry) take(words []byte) {
	for word := range bytes.FieldsSeq(words) {
		name, value, _ := bytes.Cut(word, []byte("="))
		switch string(name) {
		case "type":
			e.file = string(value) == "file"
		case "mode":
			e.mode, _ = strconv.ParseUint(string(value), 8, 16)
		case "sha256digest", "sha256":
			e.sum = value
		}
	}
}

func (e *entry) claim(path []byte, pkg string, claims *scan.Claims) error {
	switch {
	case !e.file || len(path) == 0 || path[0] == '.' && !bytes.Contains(path, []byte("/")): // the package's own metadata
		return nil
	case e.mode&0o111 != 0:
		return claims.AddRunnable(path, pkg, inventory.ALPM, "sha256", e.sum)
	}
	return claims.Add(path, pkg, inventory.ALPM, "sha256", e.sum)
}

// unescape appends path to out, with "\" and three octal digits turned into the
// byte that they stand for.
func unescape(out, path []byte) []byte {
	for len(path) > 0 {
		if path[0] == '\\' && len(path) >= 4 {
			if v, err := strconv.ParseUint(string(path[1:4]), 8, 8); err == nil {
				out, path = append(out, byte(v)), path[4:]
				continue
			}
		}
		out, path = append(out, path[0]), path[1:]
	}
	return out
}
