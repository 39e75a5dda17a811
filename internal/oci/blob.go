package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Blob returns the blob that d names, checked while it is read as by
// [VerifyReader]. The caller closes it.
func (c *Client) Blob(ctx context.Context, g ref.GUN, d v1.Descriptor) (io.ReadCloser, error) {
	if err := CheckDescriptor(d); err != nil {
		return nil, err
	}
	r := g.Reference()
	resp, err := c.blob(ctx, http.MethodGet, r, d) //nolint:bodyclose // the caller closes it, through the verifier
	if err != nil {
		return nil, err
	}
	return VerifyReader(resp.Body, d), nil
}

func (c *Client) blob(ctx context.Context, method string, r ref.Reference, d v1.Descriptor) (*http.Response, error) {
	req, err := http.NewRequestWithContext(c.scoped(ctx, r, "pull"), method, c.url(r, "blobs/"+string(d.Digest)), nil)
	if err != nil {
		return nil, fault.As(fault.Invalid, err)
	}
	return c.do(req, r.WithDigest(d.Digest), http.StatusOK)
}

// PushBlob uploads the blob that d names unless it is there. open is called for
// its content, and again if the upload has to be repeated; what it returns is
// checked against d, and a blob that does not fit is not stored.
func (c *Client) PushBlob(ctx context.Context, g ref.GUN, d v1.Descriptor, open func() (io.ReadCloser, error)) error {
	if err := CheckDescriptor(d); err != nil {
		return err
	}
	r := g.Reference()
	ctx = c.scoped(ctx, r, "pull", "push")
	resp, err := c.blob(ctx, http.MethodHead, r, d)
	if err == nil {
		return resp.Body.Close()
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	to, err := c.beginUpload(ctx, r)
	if err != nil {
		return err
	}
	query := to.Query()
	query.Set("digest", string(d.Digest))
	to.RawQuery = query.Encode()
	return c.upload(ctx, r, to, d, open)
}

// beginUpload asks for a place to upload to (distribution-spec, "Pushing a blob
// monolithically").
func (c *Client) beginUpload(ctx context.Context, r ref.Reference) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(r, "blobs/uploads/"), http.NoBody)
	if err != nil {
		return nil, fault.As(fault.Invalid, err)
	}
	resp, err := c.do(req, r, http.StatusAccepted)
	if err != nil {
		return nil, fmt.Errorf("begin upload: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := resp.Location()
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "begin upload to %q: %w", r, err)
	}
	if to.Scheme != "https" && to.Scheme != c.scheme(to.Host) {
		return nil, fault.Errorf(fault.Unavailable, "begin upload to %q: the registry points to %q, which is not HTTPS", r, to.Scheme+"://"+to.Host)
	}
	return to, nil
}

func (c *Client) upload(ctx context.Context, r ref.Reference, to *url.URL, d v1.Descriptor, open func() (io.ReadCloser, error)) error {
	source := &source{d: d, open: open}
	body, err := source.get()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to.String(), body)
	if err != nil {
		_ = body.Close()
		return fault.As(fault.Invalid, err)
	}
	req.ContentLength, req.GetBody = d.Size, source.get
	if d.Size == 0 { // nothing is sent, so nothing would be checked
		_, err = io.Copy(io.Discard, body)
		_ = body.Close()
		if err != nil {
			return err
		}
		req.Body, req.GetBody = http.NoBody, nil
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.do(req, r, http.StatusCreated)
	if source.err != nil {
		err = source.err // the cause, not what the transport made of it
	}
	if err != nil {
		return fmt.Errorf("upload blob %s: %w", d.Digest, err)
	}
	return resp.Body.Close()
}

// source is the content of an upload, which remembers why it could not be read.
type source struct {
	d    v1.Descriptor
	open func() (io.ReadCloser, error)
	err  error
}

func (s *source) get() (io.ReadCloser, error) {
	rc, err := s.open()
	if err != nil {
		return nil, err
	}
	return &uploading{VerifyReader(rc, s.d), s}, nil
}

type uploading struct {
	io.ReadCloser
	source *source
}

func (u *uploading) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		u.source.err = err
	}
	return n, err
}
