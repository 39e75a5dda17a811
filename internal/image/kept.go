package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// Kept is what an image is known by without its layers: enough to judge it again
// where its signatures and its inventory are at hand.
type Kept struct {
	Top      v1.Descriptor `json:"top"` // what the name resolved to
	Media    string        `json:"media"`
	Manifest []byte        `json:"manifest"` // of the platform, as it was served
	Config   []byte        `json:"config"`
}

// Keep returns what m is known by.
func Keep(ctx context.Context, m *Image) (*Kept, error) {
	k := &Kept{Top: bare(m.Top), Media: m.Manifest.MediaType}
	var err error
	if k.Manifest, err = readBlob(ctx, m.Blobs, m.Manifest); err == nil {
		k.Config, err = readBlob(ctx, m.Blobs, m.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("keep %q: %w", m.Name, err)
	}
	return k, nil
}

// bare returns d without what others wrote into it and nobody needs.
func bare(d v1.Descriptor) v1.Descriptor {
	return v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// Open returns the image under name. If r is not zero it is the image of that
// reference's repository, by the digest that its name resolved to. Its layers are
// read from what more returns, which is asked only if they are; if more is nil
// they cannot be read: what must be known of them must be known already. Untrusted
// if config and manifest do not belong together.
func (k *Kept) Open(ctx context.Context, name string, r ref.Reference, more func(context.Context) (Blobs, error)) (*Image, error) {
	d := v1.Descriptor{MediaType: k.Media, Digest: digest.FromBytes(k.Manifest), Size: int64(len(k.Manifest))}
	m := &Image{Name: name, Top: k.Top, Blobs: &documents{more: more, known: map[ref.Digest][]byte{d.Digest: k.Manifest, digest.FromBytes(k.Config): k.Config}}}
	if !r.IsZero() {
		m.Reference = r.WithDigest(k.Top.Digest)
	}
	if err := m.loadManifest(ctx, d); err != nil {
		return nil, fmt.Errorf("open %q as it was kept: %w", name, err)
	}
	return m, nil
}

// Unread returns m with layers that cannot be read, for whoever may only use what
// is known of them already.
func Unread(m *Image) *Image {
	out := *m
	out.Blobs = unread{m}
	return &out
}

// errUnread is why layers are not read where containers start.
var errUnread = fault.Hint(fault.Errorf(fault.NotFound, "what is in this image was not looked at yet, and where containers start nothing is scanned"),
	"plimsoll check IMAGE looks at it; so does pulling it, or making a container of it, through the engine's socket")

type unread struct{ m *Image }

// Open implements [Blobs].
func (u unread) Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	for _, layer := range u.m.Layers {
		if layer.Digest == d.Digest {
			return nil, errUnread
		}
	}
	return u.m.Blobs.Open(ctx, d)
}

// documents are blobs by digest, and where to find others.
type documents struct {
	known map[ref.Digest][]byte
	more  func(context.Context) (Blobs, error)

	mu    sync.Mutex
	other Blobs
}

// Open implements [Blobs].
func (b *documents) Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if content, ok := b.known[d.Digest]; ok {
		return oci.VerifyReader(io.NopCloser(bytes.NewReader(content)), d), nil
	}
	if b.more == nil {
		return nil, errUnread
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.other == nil {
		var err error
		if b.other, err = b.more(ctx); err != nil {
			return nil, err
		}
	}
	return b.other.Open(ctx, d)
}
