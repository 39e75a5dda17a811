package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// AllPlatforms stands for every platform of an index, in [Opener.Copy].
const AllPlatforms = "all"

// Copied says what [Opener.Copy] put at the destination.
type Copied struct {
	v1.Descriptor       // of the manifest or index that the destination now names
	Manifests     int   // and indexes, the first included
	Blobs         int   // configs and layers, whether or not they were there before
	Bytes         int64 // of those blobs
}

// Copy copies the image src to dst, a registry or a layout, byte for byte: all
// of an index ("" or [AllPlatforms]), or the manifest of one platform. Every
// blob is checked against its digest on the way, and every layer that dst does
// not have yet is walked: what could not be scanned, signed or run is not copied
// either. On an error dst names what it named before: a layout is as it was, and in a registry at most blobs and
// manifests without a tag are left.
func (o *Opener) Copy(ctx context.Context, src, dst Name, platform string) (Copied, error) {
	c, err := o.copy(ctx, src, dst, platform)
	if err != nil {
		return Copied{}, fmt.Errorf("copy %q to %q: %w", src, dst, err)
	}
	return c, nil
}

func (o *Opener) copy(ctx context.Context, src, dst Name, platform string) (Copied, error) {
	from, err := o.find(ctx, src)
	if err != nil {
		return Copied{}, err
	}
	if platform != "" && platform != AllPlatforms {
		m := &Image{Top: from.top, Blobs: from.blobs}
		if err := m.resolve(ctx, platform); err != nil {
			return Copied{}, err
		}
		from.top = m.Manifest
	}
	p := plan{blobs: from.blobs, check: from.check, known: map[ref.Digest]bool{}, layers: layers{}}
	if err := p.add(ctx, from.top, 0); err != nil {
		return Copied{}, err
	}
	if from.check != nil && !p.agrees {
		return Copied{}, p.disagreed
	}
	to, err := o.destination(dst)
	if err != nil {
		return Copied{}, err
	}
	if err := p.run(ctx, to); err != nil {
		return Copied{}, errors.Join(err, to.abort())
	}
	return p.copied(from.top), nil
}

// plan is what there is to copy.
type plan struct {
	blobs     Blobs
	check     func(*Image) error
	agrees    bool  // check passed for one of the images
	disagreed error // or what it said
	known     map[ref.Digest]bool
	layers    layers
	content   []v1.Descriptor // configs and layers
	manifests []document      // those that others name first, the top last
}

type document struct {
	v1.Descriptor
	bytes []byte
}

// add plans d, a manifest or index, and all that it names.
func (p *plan) add(ctx context.Context, d v1.Descriptor, depth int) error {
	switch {
	case p.known[d.Digest]:
		return nil
	case depth > maxIndexDepth:
		return fault.Errorf(fault.Invalid, "indexes are nested deeper than %d", maxIndexDepth)
	case len(p.known) > maxManifests:
		return fault.Errorf(fault.Invalid, "more than %d manifests", maxManifests)
	}
	p.known[d.Digest] = true
	b, err := readBlob(ctx, p.blobs, d)
	if fault.Is(err, fault.NotFound) && depth > 0 {
		err = fault.Hint(err, "the source holds only part of the index: choose with --platform OS/ARCHITECTURE")
	}
	if err != nil {
		return fmt.Errorf("read manifest %s: %w", d.Digest, err)
	}
	doc, err := oci.ParseDocument(d.MediaType, b)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	if doc.Manifest != nil {
		err = p.addContent(ctx, d, *doc.Manifest)
	} else {
		err = p.addIndex(ctx, *doc.Index, depth)
	}
	p.manifests = append(p.manifests, document{d, b})
	return err
}

func (p *plan) addIndex(ctx context.Context, index v1.Index, depth int) error {
	for _, m := range index.Manifests {
		if err := p.add(ctx, m, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) addContent(ctx context.Context, d v1.Descriptor, m v1.Manifest) error {
	for _, c := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if foreignTypes[c.MediaType] {
			return foreign(c)
		}
		if !p.known[c.Digest] {
			p.known[c.Digest] = true
			p.content = append(p.content, c)
		}
	}
	if err := p.layers.add(ctx, p.blobs, d, m); err != nil {
		return err
	}
	if p.check != nil && !p.agrees {
		image := Image{Blobs: p.blobs}
		p.disagreed = image.load(ctx, d, m)
		if p.disagreed == nil {
			p.disagreed = p.check(&image)
		}
		p.agrees = p.disagreed == nil
	}
	return nil
}

// run copies contents first and the top last, so that nothing ever names what
// is not there.
func (p *plan) run(ctx context.Context, to destination) error {
	for _, d := range p.content {
		open := func() (io.ReadCloser, error) {
			r, err := p.blobs.Open(ctx, d)
			if l, ok := p.layers[d.Digest]; ok && err == nil {
				r = inspect(ctx, r, l.image, l.index)
			}
			return r, err
		}
		if err := to.blob(ctx, d, open); err != nil {
			return err
		}
	}
	for i, m := range p.manifests {
		if err := to.manifest(ctx, m, i == len(p.manifests)-1); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) copied(top v1.Descriptor) Copied {
	c := Copied{Descriptor: top, Manifests: len(p.manifests), Blobs: len(p.content)}
	for _, d := range p.content {
		c.Bytes += d.Size
	}
	return c
}

// destination is where a copy goes.
type destination interface {
	blob(ctx context.Context, d v1.Descriptor, open func() (io.ReadCloser, error)) error
	// manifest puts m; the top is the last one and makes the copy visible.
	manifest(ctx context.Context, m document, top bool) error
	abort() error // after an error
}

func (o *Opener) destination(dst Name) (destination, error) {
	switch dst.Scheme {
	case Registry:
		return &toRegistry{o.Registry, dst.Reference}, nil
	case Layout:
		w, err := oci.WriteLayout(dst.Path)
		return &toLayout{w, dst.Tag}, err
	case DockerArchive, Engine, Containerd, Folder, SingleFile:
	}
	err := fault.Errorf(fault.Usage, "%q cannot be written", dst)
	return nil, fault.Hint(err, "copy to a registry, or to a layout: oci:DIR[:TAG]")
}

type toRegistry struct {
	client *oci.Client
	name   ref.Reference
}

func (t *toRegistry) blob(ctx context.Context, d v1.Descriptor, open func() (io.ReadCloser, error)) error {
	return t.client.PushBlob(ctx, t.name.GUN(), d, open)
}

func (t *toRegistry) manifest(ctx context.Context, m document, top bool) error {
	name := t.name
	if !top {
		name = name.WithDigest(m.Digest)
	}
	_, err := t.client.PushManifest(ctx, name, m.MediaType, m.bytes, oci.Condition{})
	return err
}

func (t *toRegistry) abort() error { return nil } // what no tag names is the registry's to collect

type toLayout struct {
	w   *oci.LayoutWriter
	tag string
}

func (t *toLayout) blob(ctx context.Context, d v1.Descriptor, open func() (io.ReadCloser, error)) error {
	if t.w.Has(ctx, d) {
		return nil
	}
	r, err := open()
	if err != nil {
		return err
	}
	return t.w.Put(d, r)
}

func (t *toLayout) manifest(ctx context.Context, m document, top bool) error {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.bytes)), nil }
	if err := t.blob(ctx, m.Descriptor, open); err != nil || !top {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.w.Commit(m.Descriptor, t.tag)
}

func (t *toLayout) abort() error { return t.w.Abort() }
