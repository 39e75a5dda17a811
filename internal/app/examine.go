package app

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// examineAtOnce bounds how many images are read at the same time.
const examineAtOnce = 4

// Examiner reads images of one repository that are to be signed. What several of
// them share, a manifest or a layer, is read once.
type Examiner struct {
	images    *image.Opener
	tops      shared[ref.Digest, trust.Image]
	platforms shared[ref.Digest, trust.Platform]
	layers    shared[string, ref.Digest] // media type and digest → diff ID
}

// NewExaminer returns an examiner of what images opens.
func NewExaminer(images *image.Opener) *Examiner { return &Examiner{images: images} }

// Examine reads every layer of every platform of the images that names stand for
// and returns what is to be signed of each, computed from the bytes. Untrusted
// if any byte is not what its digest or a config promised, so that nobody signs
// an image that arrives broken.
func (e *Examiner) Examine(ctx context.Context, names ...ref.Reference) ([]trust.Image, error) {
	all := make([]trust.Image, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(examineAtOnce)
	for i, r := range names {
		group.Go(func() (err error) {
			all[i], err = e.one(ctx, r)
			return err
		})
	}
	return all, group.Wait()
}

func (e *Examiner) one(ctx context.Context, r ref.Reference) (trust.Image, error) {
	digest, err := e.resolve(ctx, r)
	if err != nil {
		return trust.Image{}, err
	}
	m, err := e.tops.get(ctx, digest, func() (trust.Image, error) { return e.top(ctx, r.WithDigest(digest)) })
	m.Tag = r.Tag
	return m, err
}

// resolve returns the digest that r stands for, by the registry's word: what is
// signed is what is then found under that digest.
func (e *Examiner) resolve(ctx context.Context, r ref.Reference) (ref.Digest, error) {
	if r.Digest != "" {
		return r.Digest, nil
	}
	if m, err := e.images.Registry.Head(ctx, r); err == nil {
		return m.Digest, nil
	}
	m, err := e.images.Registry.Manifest(ctx, r) // it says what is wrong, or the registry gives no digest with HEAD
	return m.Digest, err
}

// top examines the image with r's digest.
func (e *Examiner) top(ctx context.Context, r ref.Reference) (trust.Image, error) {
	m, err := e.openAny(ctx, r)
	if err != nil {
		return trust.Image{}, err
	}
	signed := trust.Image{Digest: m.Top.Digest, Size: m.Top.Size, MediaType: m.Top.MediaType}
	siblings := m.Siblings
	if len(siblings) == 0 {
		siblings = []v1.Descriptor{m.Manifest}
	}
	for _, d := range siblings {
		p, err := e.platforms.get(ctx, d.Digest, func() (trust.Platform, error) { return e.platform(ctx, m, d) })
		if err != nil {
			return trust.Image{}, fmt.Errorf("examine %q: %w", r, err)
		}
		signed.Platforms = append(signed.Platforms, p)
	}
	return signed, nil
}

// openAny opens the image of this machine's platform or, in an index that has
// none, of the first platform that can be opened: all of them are read anyway.
func (e *Examiner) openAny(ctx context.Context, r ref.Reference) (*image.Image, error) {
	m, err := e.images.Open(ctx, r.String(), "")
	if !fault.Is(err, fault.NotFound) {
		return m, err
	}
	top, bad := e.images.Registry.Manifest(ctx, r)
	if bad != nil {
		return nil, bad
	}
	doc, bad := oci.ParseDocument(top.MediaType, top.Bytes)
	if bad != nil || doc.Index == nil {
		return nil, err
	}
	for _, d := range doc.Index.Manifests {
		if d.Platform == nil || !oci.IsManifest(d.MediaType) {
			continue
		}
		if m, err := e.images.Open(ctx, r.String(), platformName(*d.Platform)); err == nil {
			return m, nil
		} else if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Usage) {
			return nil, err
		}
	}
	return nil, err
}

// platform examines the manifest d of the image that m was opened from.
func (e *Examiner) platform(ctx context.Context, m *image.Image, d v1.Descriptor) (trust.Platform, error) {
	if d.Digest != m.Manifest.Digest {
		var err error
		if m, err = m.Sibling(ctx, d); err != nil {
			return trust.Platform{}, err
		}
	}
	p := trust.Platform{Platform: platformName(m.Spec.Platform), Manifest: d.Digest, Size: d.Size, Config: m.Config.Digest}
	var diffIDs []ref.Digest
	for i, layer := range m.Layers {
		id, err := e.layers.get(ctx, layer.MediaType+" "+string(layer.Digest), func() (ref.Digest, error) {
			walked, err := m.Walk(ctx, i, image.Caps{}, func(image.Entry, io.Reader) error { return nil })
			return walked.DiffID, err
		})
		if err == nil && m.Spec.RootFS.DiffIDs[i] != id { // it was read for another image, with another config
			err = fault.Errorf(fault.Untrusted, "layer %d (%s): the config says diff ID %s, the bytes have %s", i, layer.Digest, m.Spec.RootFS.DiffIDs[i], id)
		}
		if err != nil {
			return p, fmt.Errorf("%s: %w", p.Platform, err)
		}
		diffIDs = append(diffIDs, id)
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
