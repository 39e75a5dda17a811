package dotnet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Bundles is a [scan.Extractor] of programs that carry everything they need in
// one ELF file (.NET design "Single-file Publish"): of those made by .NET 5 and
// later, which say where their deps.json is.
type Bundles struct{}

var _ scan.Extractor = Bundles{}

// marker is the SHA-256 of ".net core bundle". Before it stands where the header
// of the bundle is, or zero in a host that has none.
var marker = []byte("\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32\x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae")

const (
	minBundle   = 256 // bytes of files and header behind the program
	firstWithIt = 2   // version of the header that has the place of deps.json
)

// Name implements [scan.Extractor].
func (Bundles) Name() string { return "dotnet-bundle" }

// Version implements [scan.Extractor].
func (Bundles) Version() int { return 1 }

// Wants implements [scan.Extractor]: ELF files that go on where their own last
// part, the table of sections, ends.
func (Bundles) Wants(e image.Entry, head []byte) bool {
	if len(head) < 64 || string(head[:4]) != "\x7fELF" || head[5] != 1 { // .NET has no big-endian host for bundles
		return false
	}
	var end uint64
	if head[4] == 1 {
		end = uint64(binary.LittleEndian.Uint32(head[0x20:])) + table(head[0x2e:])
	} else {
		end = binary.LittleEndian.Uint64(head[0x28:]) + table(head[0x3a:])
	}
	return end < uint64(max(e.Size, 0)) && uint64(e.Size)-end >= minBundle //nolint:gosec // not negative
}

// table returns the length of the table of sections, whose entries' size and
// number b begins with.
func table(b []byte) uint64 {
	return uint64(binary.LittleEndian.Uint16(b)) * uint64(binary.LittleEndian.Uint16(b[2:]))
}

// Extract implements [scan.Extractor].
func (Bundles) Extract(ctx context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	at, err := header(content)
	if err != nil || at == 0 {
		return inventory.Found{}, err
	}
	place, size, err := document(content, at)
	if err != nil || size == 0 {
		return inventory.Found{}, err
	}
	in := scan.File{Entry: f.Entry, Reader: io.NewSectionReader(content, place, size)}
	in.Path, in.Size = strings.TrimSuffix(f.Path, ".exe")+depsSuffix, size
	found, err := Deps{}.Extract(ctx, in)
	found.Owned = nil // its files are in the bundle
	return found, err
}

// windows are buffers to look at files through.
var windows = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// header returns where the header of the bundle is, 0 if the file has none.
func header(r scan.ReaderAt) (int64, error) {
	window, _ := windows.Get().(*[64 << 10]byte)
	defer windows.Put(window)
	keep := 8 + len(marker) - 1
	for at := int64(0); at < r.Size(); at += int64(len(window) - keep) {
		n, err := r.ReadAt(window[:], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("look for the marker of a bundle: %w", err)
		}
		if i := bytes.Index(window[:n], marker); i >= 8 {
			return int64(binary.LittleEndian.Uint64(window[i-8:])), nil //nolint:gosec // a negative one is refused
		}
	}
	return 0, nil
}

var errBundle = fault.As(fault.Invalid, errors.New("the header of its bundle is malformed"))

// document returns where deps.json is in the bundle whose header is at a place:
// version, number of files, name of the bundle with its length before it, place
// and size of deps.json. The size is 0 if there is none.
func document(r scan.ReaderAt, at int64) (place, size int64, err error) {
	if at < 0 || at > r.Size() {
		return 0, 0, errBundle
	}
	var b [12 + 1 + 127 + 16]byte
	n, err := r.ReadAt(b[:], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, fmt.Errorf("read the header of the bundle: %w", err)
	}
	name := int(b[12])
	if binary.LittleEndian.Uint32(b[:]) < firstWithIt {
		return 0, 0, nil
	}
	if name > 127 || n < 13+name+16 {
		return 0, 0, errBundle
	}
	place = int64(binary.LittleEndian.Uint64(b[13+name:]))  //nolint:gosec // a negative one is refused
	size = int64(binary.LittleEndian.Uint64(b[13+name+8:])) //nolint:gosec // a negative one is refused
	if place < 0 || size < 0 || size > r.Size() || place > r.Size()-size {
		return 0, 0, errBundle
	}
	return place, size, nil
}
