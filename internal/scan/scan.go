// Package scan finds out what is in an image by looking at the bytes of its
// layers: each is decompressed once, hashed once and walked once, and each
// extractor takes from the stream the files that it knows how to read.
//
// The facts of a layer depend on nothing but its bytes and the extractors'
// versions, so they are kept under both and never computed twice. The image's
// inventory is the replay of its layers' facts, whiteouts and links included
// ([inventory.Inventory.Merge]).
//
// What is read was chosen by somebody else. A file is bounded before it is
// parsed, an extractor that fails or panics on a file makes that file
// unreadable and nothing more, and an unreadable part is always reported.
package scan

import (
	"context"
	"io"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// Extractor recognises components in single files. It must not keep state
// between calls and may be called concurrently.
type Extractor interface {
	Name() string // lower case, unique, for evidence and the cache key: "dpkg"
	Version() int // raised whenever equal bytes may give other facts
	// Wants reports whether the extractor reads this file. head holds the first
	// bytes of a regular file, up to 512, and is valid only during the call.
	Wants(e image.Entry, head []byte) bool
	// Extract reads one file that it wanted. Evidence and Method are filled in
	// by the caller; a component may carry one Evidence with only a Path, where
	// that differs from the file's (a file in an archive: "app.war!/WEB-INF/lib/b.jar"),
	// and a Confidence, where that is not 1. An error makes the file unreadable; what was
	// found before it is kept.
	Extract(ctx context.Context, f File) (inventory.Found, error)
}

// File is a file of a layer that is being read.
type File struct {
	image.Entry
	io.Reader // its content, once
	// Spill returns the content as a file of random access, bounded and removed
	// by the caller; it may be called instead of reading, once.
	Spill func() (ReaderAt, error)
}

// ReaderAt is a file of random access and known size.
type ReaderAt interface {
	io.ReaderAt
	io.Reader
	Size() int64
}
