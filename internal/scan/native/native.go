// Package native recognises native code by its content, never by a file's name:
// programs and libraries that no package database knows, that were renamed,
// stripped, copied from elsewhere or linked into others.
//
// What products look like is data (products/*.yaml, [Product]): literal texts
// that stand in the product's code, and a regular expression for each that finds
// the version in the bytes around. All texts of all products are looked for in
// one pass over a file; expressions see only the bytes around a hit. Each entry
// names samples, excerpts of real files, which the tests check it by.
//
// A program that was built against a library often holds the library's version,
// too, to print it. If it needs the library at run time, it only links to it
// ([inventory.Links]); else the code is in it ([inventory.Contains]).
//
// A version that shows a distribution's own part ("7.88.1-10+deb12u15") makes the
// component one of that distribution, to be judged by its advisories.
package native

import (
	"context"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/exe"
)

// Extractor is a [scan.Extractor] of native code.
type Extractor struct {
	// Set holds the products to recognise; nil means those that are built in.
	Set *Set
}

var _ scan.Extractor = Extractor{}

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "native" }

// engineVersion is raised when equal bytes and equal products may give other facts.
const engineVersion = 1

// Version implements [scan.Extractor]. It changes with the products.
func (x Extractor) Version() int {
	sum := builtinSum
	if x.Set != nil {
		sum = func() uint32 { return x.Set.sum }
	}
	return engineVersion + int(sum()>>8)<<4 // positive in 32 bits
}

// Wants implements [scan.Extractor]: any ELF, PE, Mach-O or WebAssembly file.
func (Extractor) Wants(_ image.Entry, head []byte) bool { return exe.Sniff(head) != exe.None }

// Extract implements [scan.Extractor].
func (x Extractor) Extract(ctx context.Context, f scan.File) (inventory.Found, error) {
	set := x.Set
	if set == nil {
		var err error
		if set, err = builtin(); err != nil {
			return inventory.Found{}, err
		}
	}
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	seen, err := set.look(ctx, content)
	if err != nil {
		return inventory.Found{}, err
	}
	return inventory.Found{Components: seen.components(exe.Read(content, content.Size()))}, seen.limit
}
