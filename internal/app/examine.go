package app

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// Examine reads every layer of every platform of the image that r names and
// returns what is to be signed of it, computed from the bytes. Untrusted if any
// byte is not what its digest or the config promised, so that nobody signs an
// image that arrives broken.
func Examine(ctx context.Context, images *image.Opener, r ref.Reference) (trust.Image, error) {
	top, err := images.Registry.Manifest(ctx, r)
	if err != nil {
		return trust.Image{}, err
	}
	signed := trust.Image{Tag: r.Tag, Digest: top.Digest, Size: top.Size, MediaType: top.MediaType}
	m, err := openAny(ctx, images, r.WithDigest(top.Digest), top)
	if err != nil {
		return trust.Image{}, err
	}
	siblings := m.Siblings
	if len(siblings) == 0 {
		siblings = []v1.Descriptor{m.Manifest}
	}
	for _, d := range siblings {
		if len(m.Siblings) > 0 {
			if m, err = m.Sibling(ctx, d); err != nil {
				return trust.Image{}, err
			}
		}
		p, err := examinePlatform(ctx, m)
		if err != nil {
			return trust.Image{}, fmt.Errorf("examine %q, %s: %w", r, p.Platform, err)
		}
		signed.Platforms = append(signed.Platforms, p)
	}
	return signed, nil
}

// openAny opens the image of this machine's platform or, in an index that has
// none, of the first platform that can be opened: all of them are read anyway.
func openAny(ctx context.Context, images *image.Opener, r ref.Reference, top oci.Manifest) (*image.Image, error) {
	m, err := images.Open(ctx, r.String(), "")
	if !fault.Is(err, fault.NotFound) {
		return m, err
	}
	doc, bad := oci.ParseDocument(top.MediaType, top.Bytes)
	if bad != nil || doc.Index == nil {
		return nil, err
	}
	for _, d := range doc.Index.Manifests {
		if d.Platform == nil || !oci.IsManifest(d.MediaType) {
			continue
		}
		if m, err := images.Open(ctx, r.String(), platformName(*d.Platform)); err == nil {
			return m, nil
		} else if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Usage) {
			return nil, err
		}
	}
	return nil, err
}

func examinePlatform(ctx context.Context, m *image.Image) (trust.Platform, error) {
	p := trust.Platform{Platform: platformName(m.Spec.Platform), Manifest: m.Manifest.Digest, Config: m.Config.Digest}
	var diffIDs []ref.Digest
	for i := range m.Layers {
		walked, err := m.Walk(ctx, i, image.Caps{}, func(image.Entry, io.Reader) error { return nil })
		if err != nil {
			return p, err
		}
		diffIDs = append(diffIDs, walked.DiffID)
	}
	if chain := image.ChainIDs(diffIDs); len(chain) > 0 {
		p.ChainID = chain[len(chain)-1]
	}
	return p, nil
}

func platformName(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}
