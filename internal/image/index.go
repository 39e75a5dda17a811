package image

import (
	"context"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
)

// Bounds on indexes: an index may hold indexes, and a manifest that does not
// say its platform is asked for it.
const (
	maxIndexDepth = 4
	maxIndexReads = 64
	maxManifests  = 1000
)

// indexer gathers the platforms' manifests of an index and those inside it.
type indexer struct {
	blobs     Blobs
	manifests []v1.Descriptor // each with a platform
	reads     int
}

func (ix *indexer) add(ctx context.Context, index v1.Index, depth int) error {
	if depth >= maxIndexDepth {
		return fault.Errorf(fault.Invalid, "indexes are nested deeper than %d", maxIndexDepth)
	}
	for _, d := range index.Manifests {
		if err := ix.addOne(ctx, d, depth); err != nil {
			return err
		}
		if len(ix.manifests) > maxManifests {
			return fault.Errorf(fault.Invalid, "more than %d manifests", maxManifests)
		}
	}
	return nil
}

func (ix *indexer) addOne(ctx context.Context, d v1.Descriptor, depth int) error {
	switch {
	case isAttestation(d):
		return nil
	case oci.IsIndex(d.MediaType):
		doc, err := ix.read(ctx, d)
		if err != nil {
			return err
		}
		return ix.add(ctx, *doc.Index, depth+1)
	case !oci.IsManifest(d.MediaType):
		return nil // something that is not an image, and so no platform of it
	case d.Platform == nil:
		return ix.addUnnamed(ctx, d)
	}
	ix.manifests = append(ix.manifests, d)
	return nil
}

// addUnnamed adds a manifest whose platform only its config says, if it is an
// image's.
func (ix *indexer) addUnnamed(ctx context.Context, d v1.Descriptor) error {
	doc, err := ix.read(ctx, d)
	if err != nil {
		return err
	}
	if t := doc.Manifest.Config.MediaType; t != v1.MediaTypeImageConfig && t != oci.DockerConfig {
		return nil
	}
	b, err := readBlob(ctx, ix.blobs, doc.Manifest.Config)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	spec, err := parseConfig(b)
	if err != nil {
		return err
	}
	d.Platform = &spec.Platform
	ix.manifests = append(ix.manifests, d)
	return nil
}

func (ix *indexer) read(ctx context.Context, d v1.Descriptor) (oci.Document, error) {
	if ix.reads++; ix.reads > maxIndexReads {
		return oci.Document{}, fault.Errorf(fault.Invalid, "an index that takes more than %d others to read", maxIndexReads)
	}
	return readDocument(ctx, ix.blobs, d)
}
