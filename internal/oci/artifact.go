package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Artifact is one file that says something about a manifest: a manifest of its
// own with that manifest as its subject and the file as its only layer
// (image-spec, manifest.md, "Guidelines for Artifact Usage").
type Artifact struct {
	Type        string        // what it is
	ConfigType  string        // media type of the empty config; "" means the standard's
	Subject     v1.Descriptor // what it is about
	MediaType   string        // of Content
	Content     []byte
	Annotations map[string]string // of the manifest
}

// PushArtifact puts a into the repository g, where [Client.Referrers] of its
// subject finds it.
func (c *Client) PushArtifact(ctx context.Context, g ref.GUN, a Artifact) (v1.Descriptor, error) {
	config := v1.DescriptorEmptyJSON
	if a.ConfigType != "" {
		config.MediaType = a.ConfigType
	}
	layer := v1.Descriptor{MediaType: a.MediaType, Digest: digest.FromBytes(a.Content), Size: int64(len(a.Content))}
	for _, blob := range []struct {
		d v1.Descriptor
		b []byte
	}{{config, config.Data}, {layer, a.Content}} {
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob.b)), nil }
		if err := c.PushBlob(ctx, g, blob.d, open); err != nil {
			return v1.Descriptor{}, err
		}
	}
	config.Data = nil
	m := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: a.Type, Config: config,
		Layers: []v1.Descriptor{layer}, Annotations: a.Annotations,
		Subject: &v1.Descriptor{MediaType: a.Subject.MediaType, Digest: a.Subject.Digest, Size: a.Subject.Size},
	}
	b, err := json.Marshal(m)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("write manifest: %w", err)
	}
	d, err := c.PushManifest(ctx, g.Reference().WithDigest(digest.FromBytes(b)), v1.MediaTypeImageManifest, b, Condition{})
	d.ArtifactType, d.Annotations = a.Type, a.Annotations
	return d, err
}

// ArtifactManifest returns the manifest of the artifact that d, out of a list of
// referrers of subject, names. It is Untrusted if it has another subject, and
// Unavailable if it is listed and not there.
func (c *Client) ArtifactManifest(ctx context.Context, g ref.GUN, subject ref.Digest, d v1.Descriptor) (*v1.Manifest, error) {
	m, err := c.Manifest(ctx, g.Reference().WithDigest(d.Digest))
	if err != nil {
		return nil, listed(err)
	}
	doc, err := ParseDocument(m.MediaType, m.Bytes)
	if err != nil {
		return nil, fault.As(fault.Untrusted, err)
	}
	if doc.Manifest == nil || doc.Manifest.Subject == nil || doc.Manifest.Subject.Digest != subject {
		return nil, fault.Errorf(fault.Untrusted, "artifact %s is listed for %s and says that it is about something else", d.Digest, subject)
	}
	if doc.Manifest.ArtifactType == "" {
		doc.Manifest.ArtifactType = doc.Manifest.Config.MediaType
	}
	return doc.Manifest, nil
}

// ArtifactContent returns the file of an artifact that has one of at most limit
// bytes; otherwise the error is Untrusted.
func (c *Client) ArtifactContent(ctx context.Context, g ref.GUN, m *v1.Manifest, limit int64) ([]byte, error) {
	if len(m.Layers) != 1 {
		return nil, fault.Errorf(fault.Untrusted, "the artifact has %d files, not one", len(m.Layers))
	}
	return c.File(ctx, g, m.Layers[0], limit)
}

// File returns a blob of at most limit bytes whole; a larger one is Untrusted,
// and one that is not there Unavailable: something names it.
func (c *Client) File(ctx context.Context, g ref.GUN, d v1.Descriptor, limit int64) ([]byte, error) {
	if d.Size > limit {
		return nil, fault.Errorf(fault.Untrusted, "file %s has %d bytes, at most %d are read", d.Digest, d.Size, limit)
	}
	r, err := c.Blob(ctx, g, d)
	if err != nil {
		return nil, listed(err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	return b, nil
}

// listed is the error for something that is named and cannot be had.
func listed(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.As(fault.Unavailable, fmt.Errorf("it is listed and not there: %w", err))
	}
	return err
}
