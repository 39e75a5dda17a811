// Package apk reads the database of installed packages of Alpine and its kin,
// lib/apk/db/installed, in usr since apk 3 (apk-tools, apk-v2(5)).
package apk

import (
	"context"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of apk packages.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	maxSize  = 256 << 20 // bytes of the database
	lineSize = 1 << 20   // bytes of one line: dependencies can be long
	maxText  = 200       // bytes of a maintainer's name
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "apk" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 3 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	return e.Path == "lib/apk/db/installed" || e.Path == "usr/lib/apk/db/installed"
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	if f.Size > maxSize {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "larger than %d bytes", maxSize)
	}
	return parse(f)
}
