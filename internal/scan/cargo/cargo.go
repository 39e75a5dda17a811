// Package cargo recognises Rust programs by content: the list of crates that
// cargo-auditable embeds when it builds them, in ELF, PE, Mach-O and WebAssembly
// files, and the version of the compiler, whose standard library went in
// (https://github.com/rust-secure-code/cargo-auditable, "PARSING.md").
package cargo

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/exe"
)

// Extractor is a [scan.Extractor] of crates in programs.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "cargo-auditable" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor]: any ELF, PE, Mach-O or WebAssembly file.
func (Extractor) Wants(_ image.Entry, head []byte) bool { return exe.Sniff(head) != exe.None }

// Bounds of what is read, in bytes. The list of a large program takes a few
// thousand.
const (
	maxPacked   = 4 << 20
	maxUnpacked = 16 << 20
	maxComment  = 64 << 10
)

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	info := exe.Read(content, content.Size())
	found := inventory.Found{Components: standardLibrary(content, info)}
	packed, err := section(content, info, ".dep-v0", maxPacked)
	if err != nil || packed == nil {
		return found, err
	}
	list, err := unpack(packed)
	if err != nil {
		return found, fault.Errorf(fault.Invalid, "read the list of crates in .dep-v0: %w", err)
	}
	found.Components = append(found.Components, list.components()...)
	return found, nil
}

// section returns the content of a section, nil if the file has none of that name
// or, as a file of debug information, holds it elsewhere.
func section(content scan.ReaderAt, info *exe.Info, name string, limit int64) ([]byte, error) {
	r, ok := info.Section(name)
	if !ok || r.Size <= 0 {
		return nil, nil
	}
	if r.Size > limit {
		return nil, fault.Errorf(fault.Invalid, "the section %s has more than %d bytes", name, limit)
	}
	b := make([]byte, r.Size)
	if n, err := content.ReadAt(b, r.Offset); n < len(b) {
		return nil, fault.Errorf(fault.Invalid, "read the section %s: %w", name, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return b, nil
}

// crates is the list that cargo-auditable embeds.
type crates struct {
	Packages []crate `json:"packages"`
}

type crate struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Kind    string `json:"kind"` // "build", or absent for what is in the program
	Root    bool   `json:"root"`
}

func unpack(packed []byte) (*crates, error) {
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxUnpacked {
		return nil, fmt.Errorf("it has more than %d bytes", maxUnpacked)
	}
	var list crates
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	return &list, nil
}

// components returns the crates in the program: without those that only ran when
// it was built.
func (l *crates) components() (out []inventory.Component) {
	for _, p := range l.Packages {
		if p.Name == "" || p.Kind == "build" {
			continue
		}
		c := inventory.Component{Kind: inventory.Library, Type: inventory.Cargo, Name: p.Name, Version: p.Version}
		if p.Root {
			c.Kind = inventory.Application
		}
		out = append(out, c)
	}
	return out
}

var compiler = regexp.MustCompile(`rustc version ([0-9]+\.[0-9]+\.[0-9]+(?:-[a-z]+(?:\.[0-9]+)?)?)`)

const (
	maxCompilers = 8
	sureCompiler = 0.9
)

// standardLibrary returns the crate std in the versions of the compilers that
// left their names in the file. Every Rust program holds code of it.
func standardLibrary(content scan.ReaderAt, info *exe.Info) (out []inventory.Component) {
	comment, err := section(content, info, ".comment", maxComment)
	if err != nil {
		return nil // what compilers say is no promise
	}
	var versions []string
	for _, m := range compiler.FindAllSubmatch(comment, maxCompilers) {
		versions = append(versions, string(m[1]))
	}
	slices.Sort(versions)
	for _, v := range slices.Compact(versions) {
		out = append(out, inventory.Component{
			Kind: inventory.Library, Type: inventory.Cargo, Name: "std", Version: v,
			Evidence: []inventory.Evidence{{Confidence: sureCompiler}},
		})
	}
	return out
}
