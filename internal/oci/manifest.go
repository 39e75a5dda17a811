package oci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Manifest is an image manifest or index as a registry served it.
type Manifest struct {
	v1.Descriptor
	Bytes []byte
	ETag  string // for [Condition], "" if the registry gave none
}

// Condition makes a push depend on what is there. Registries that do not know
// conditional requests (RFC 9110, section 13) ignore it.
type Condition struct {
	IfMatch     string // only if the ETag is still this
	IfNoneMatch bool   // only if there is nothing yet
}

// Manifest returns the manifest or index that r names, by digest if it has one
// and otherwise by tag. Its digest was computed here and, if r names one, is
// equal to it.
func (c *Client) Manifest(ctx context.Context, r ref.Reference) (Manifest, error) {
	resp, err := c.manifest(ctx, http.MethodGet, r)
	if err != nil {
		return Manifest{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := readCapped(resp.Body, MaxManifest)
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest of %q: %w", r, err)
	}
	d, err := describe(r, b, resp.Header)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{Descriptor: d, Bytes: b, ETag: resp.Header.Get("ETag")}, nil
}

// Head returns what the registry says about r without sending it: digest, size
// and media type are its claim, and Bytes is nil.
func (c *Client) Head(ctx context.Context, r ref.Reference) (Manifest, error) {
	resp, err := c.manifest(ctx, http.MethodHead, r)
	if err != nil {
		return Manifest{}, err
	}
	_ = resp.Body.Close()
	m := Manifest{ETag: resp.Header.Get("ETag")}
	m.Size, m.MediaType = resp.ContentLength, contentType(resp.Header)
	if m.Digest, err = ref.ParseDigest(resp.Header.Get("Docker-Content-Digest")); err != nil {
		return Manifest{}, fmt.Errorf("ask for %q: %w", r, err)
	}
	return m, nil
}

func (c *Client) manifest(ctx context.Context, method string, r ref.Reference) (*http.Response, error) {
	name, err := manifestName(r)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(c.scoped(ctx, r, "pull"), method, c.url(r, "manifests/"+name), nil)
	if err != nil {
		return nil, fault.As(fault.Invalid, err)
	}
	req.Header.Set("Accept", strings.Join(slices.Concat(indexTypes, manifestTypes), ", "))
	return c.do(req, r, http.StatusOK)
}

func manifestName(r ref.Reference) (string, error) {
	switch {
	case r.Digest != "":
		return string(r.Digest), nil
	case r.Tag != "":
		return r.Tag, nil
	}
	return "", fault.Errorf(fault.Invalid, "%q: %w", r, errNoReference)
}

// describe checks the manifest b, which came under header for r.
func describe(r ref.Reference, b []byte, header http.Header) (v1.Descriptor, error) {
	algorithm := digest.SHA256
	if r.Digest != "" {
		algorithm = r.Algorithm()
	}
	d := v1.Descriptor{Digest: algorithm.FromBytes(b), Size: int64(len(b))}
	if r.Digest != "" && d.Digest != r.Digest {
		return v1.Descriptor{}, fault.Errorf(fault.Untrusted, "%q: the registry sent a manifest with digest %s", r, d.Digest)
	}
	doc, err := ParseDocument(contentType(header), b)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("manifest of %q: %w", r, err)
	}
	d.MediaType = doc.MediaType
	return d, nil
}

func contentType(header http.Header) string {
	t, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return header.Get("Content-Type")
	}
	return t
}

// readCapped reads r to its end; more than limit bytes are an Invalid error, a
// cut stream is Untrusted.
func readCapped(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		if fault.KindOf(err) == fault.Internal {
			err = fault.As(fault.Untrusted, fmt.Errorf("cut short after %d bytes: %w", len(b), err))
		}
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fault.Errorf(fault.Invalid, "more than %d bytes", limit)
	}
	return b, nil
}

// PushManifest puts b as r, under its tag if it has one and otherwise under its
// digest. It is a Conflict if cond does not hold. A manifest with a subject is
// also put on the referrers' list of registries that do not keep one.
func (c *Client) PushManifest(ctx context.Context, r ref.Reference, mediaType string, b []byte, cond Condition) (v1.Descriptor, error) {
	doc, err := ParseDocument(mediaType, b)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("push %q: %w", r, err)
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if r.Digest != "" {
		d.Digest = r.Algorithm().FromBytes(b)
	}
	if r.Digest != "" && r.Digest != d.Digest {
		return v1.Descriptor{}, fault.Errorf(fault.Invalid, "push %q: the manifest has digest %s", r, d.Digest)
	}
	name := r.Tag
	if name == "" {
		name = string(d.Digest)
	}
	resp, err := c.putManifest(ctx, r, name, mediaType, b, cond)
	if err != nil {
		return v1.Descriptor{}, err
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != string(d.Digest) {
		return v1.Descriptor{}, fault.Errorf(fault.Untrusted, "push %q: the registry stored %q instead of %s", r, got, d.Digest)
	}
	if subject := doc.subject(); subject != nil && resp.Header.Get("OCI-Subject") == "" {
		return d, c.listReferrer(ctx, r, *subject, doc.referrer(d))
	}
	return d, nil
}

func (c *Client) putManifest(ctx context.Context, r ref.Reference, name, mediaType string, b []byte, cond Condition) (*http.Response, error) {
	req, err := http.NewRequestWithContext(c.scoped(ctx, r, "pull", "push"), http.MethodPut, c.url(r, "manifests/"+name), bytes.NewReader(b))
	if err != nil {
		return nil, fault.As(fault.Invalid, err)
	}
	req.Header.Set("Content-Type", mediaType)
	if cond.IfMatch != "" {
		req.Header.Set("If-Match", cond.IfMatch)
	}
	if cond.IfNoneMatch {
		req.Header.Set("If-None-Match", "*")
	}
	resp, err := c.do(req, r, http.StatusCreated, http.StatusOK)
	if err != nil {
		return nil, fmt.Errorf("push %q: %w", r, err)
	}
	return resp, nil
}

// Delete removes what r names: the manifest if it has a digest, otherwise the
// tag. Registries may refuse to delete tags.
func (c *Client) Delete(ctx context.Context, r ref.Reference) error {
	name, err := manifestName(r)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(c.scoped(ctx, r, "pull", "delete"), http.MethodDelete, c.url(r, "manifests/"+name), nil)
	if err != nil {
		return fault.As(fault.Invalid, err)
	}
	resp, err := c.do(req, r, http.StatusAccepted, http.StatusOK, http.StatusNoContent)
	if err != nil {
		return fmt.Errorf("delete %q: %w", r, err)
	}
	return resp.Body.Close()
}
