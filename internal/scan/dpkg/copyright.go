package dpkg

import (
	"bytes"
	"io"
	"slices"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

const (
	docs         = "usr/share/doc/"
	maxCopyright = 4 << 20 // bytes that are looked at
	maxLicences  = 100     // of one package
	maxLicence   = 200     // bytes of one
)

// machineReadable reports whether head begins a copyright file of format 1.0.
// Others are prose, and say nothing that a program should believe.
func machineReadable(head []byte) bool {
	return len(head) > 7 && bytes.EqualFold(head[:7], []byte("Format:"))
}

// terms returns the licences of the paragraphs about files, in their order. A
// paragraph that only spells a licence out names no file.
func terms(r io.Reader, pkg string) ([]inventory.Terms, error) {
	var names []string
	var licence string
	var files bool
	end := func() {
		if files && licence != "" && len(names) < maxLicences && !slices.Contains(names, licence) {
			names = append(names, licence)
		}
		licence, files = "", false
	}
	err := lines(io.LimitReader(r, maxCopyright), func(line []byte, _ bool) error {
		name, value, ok := bytes.Cut(line, []byte(":"))
		switch {
		case len(bytes.TrimSpace(line)) == 0:
			end()
		case !ok || line[0] == ' ' || line[0] == '\t':
		case bytes.EqualFold(name, []byte("Files")):
			files = true
		case bytes.EqualFold(name, []byte("License")):
			licence = scan.Plain(string(bytes.TrimSpace(value)), maxLicence)
		}
		return nil
	})
	end()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	return []inventory.Terms{{Package: pkg, Type: inventory.Deb, Licences: names}}, nil
}
