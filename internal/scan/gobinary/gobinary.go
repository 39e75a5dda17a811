// Package gobinary recognises programs that Go built, by content, whatever
// their name: the build information that the linker embeds names the main
// module, every module that went in, and the toolchain whose standard library
// did. It is there in stripped programs too (debug/buildinfo).
package gobinary

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"strings"
	"sync"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of Go modules in executables.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "gobinary" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor]: any ELF, PE or Mach-O file.
func (Extractor) Wants(e image.Entry, head []byte) bool {
	if len(head) < 64 {
		return false
	}
	switch binary.BigEndian.Uint32(head) {
	case 0x7f454c46, 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return true
	case 0xcafebabe: // a Mach-O file of several architectures, or a Java class, whose version is 45 or more
		return binary.BigEndian.Uint32(head[4:]) < 45
	}
	return head[0] == 'M' && head[1] == 'Z'
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	info, err := buildinfo.Read(content)
	if err != nil {
		return inventory.Found{}, doubt(content, err)
	}
	return inventory.Found{Components: components(info)}, nil
}

// magic begins the build information, at an address that 16 divides.
var magic = []byte("\xff Go buildinf:")

// windows are buffers to look at files through.
var windows = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// doubt returns cause if the file seems to hold build information nevertheless.
func doubt(content io.ReaderAt, cause error) error {
	const align = 16
	window, _ := windows.Get().(*[64 << 10]byte)
	defer windows.Put(window)
	buf := window[:]
	for at := int64(0); ; at += int64(len(buf) - align) {
		n, err := content.ReadAt(buf, at)
		for chunk, from := buf[:n], 0; ; {
			i := bytes.Index(chunk[from:], magic)
			if i < 0 {
				break
			}
			if from += i; from%align == 0 {
				return fault.Errorf(fault.Invalid, "it holds Go build information that cannot be read: %w", cause)
			}
			from++
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for Go build information: %w", err)
		}
	}
}

func components(info *debug.BuildInfo) []inventory.Component {
	out := make([]inventory.Component, 0, len(info.Deps)+2)
	out = append(out, inventory.Component{Kind: inventory.Library, Type: inventory.Golang, Name: "stdlib", Version: toolchain(info.GoVersion)})
	if info.Main.Path != "" {
		out = append(out, component(inventory.Application, &info.Main))
	}
	for _, m := range info.Deps {
		if m != nil && m.Path != "" {
			out = append(out, component(inventory.Library, m))
		}
	}
	return out
}

// develop is the version of what was built from a folder.
const develop = "(devel)"

// component returns the module that was built in: the replacement, if there is
// one that has a version. A replacement by a folder has none, and is believed
// to be what it replaces.
func component(kind inventory.Kind, m *debug.Module) inventory.Component {
	if r := m.Replace; r != nil && r.Version != "" && r.Version != develop {
		m = r
	}
	c := inventory.Component{Kind: kind, Type: inventory.Golang, Name: m.Path, Version: m.Version}
	if dir, base := path.Split(m.Path); dir != "" && base != "" {
		c.Namespace, c.Name = strings.TrimSuffix(dir, "/"), base
	}
	if c.Version == develop {
		c.Version = ""
	}
	return c
}

// toolchain returns the version in what the linker wrote: "go1.26.1",
// "go1.22.3 X:boringcrypto", "devel go1.27-3f2a1b Mon …".
func toolchain(s string) string {
	for word := range strings.FieldsSeq(s) {
		if v, ok := strings.CutPrefix(word, "go"); ok {
			return v
		}
	}
	return ""
}
