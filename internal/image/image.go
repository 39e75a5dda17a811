// Package image opens images wherever they lie (a registry, an OCI layout, a
// docker archive, the store of an engine) and walks their layers once, streaming,
// with every byte checked against the digest that named it. A folder or a single
// file is walked as an image of one layer, which nothing named ([Image.Loose]).
//
// Everything that is read here was chosen by somebody else. Layers are bounded
// by [Caps], names in them are cleaned and kept inside the root, and an error
// in the middle of a layer says what was read before it.
package image

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/ref"
)

// Blobs is where the bytes of an image come from.
type Blobs interface {
	// Open returns the content that d names. The reader verifies: it never
	// returns io.EOF before the digest and the length were found right, and
	// returns an Untrusted error if they are not. The caller closes it. It may
	// be called concurrently.
	Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
}

// Image is one platform's image. Its manifest and config were verified; its
// layers are verified as they are walked.
type Image struct {
	Name      string          // as the user wrote it
	Reference ref.Reference   // zero unless it came from a registry
	Top       v1.Descriptor   // what the name resolved to: an index or a manifest
	Siblings  []v1.Descriptor // manifests of all platforms in the index, nil if Top is a manifest
	Manifest  v1.Descriptor   // this platform's image manifest
	Config    v1.Descriptor
	Spec      v1.Image        // the parsed config; its DiffIDs are the image's own claim
	Layers    []v1.Descriptor // bottom first
	Blobs     Blobs

	tree     tree // of loose images, else nil
	progress func(int)
}

// Loose reports whether m is a folder or a single file. It has one layer, and
// nothing names its bytes: its digests are "", it may be another the next time it
// is walked, and so nothing about it may be kept, signed or decided.
func (m *Image) Loose() bool { return m.tree != nil }
