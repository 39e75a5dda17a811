package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// maxPages bounds how many pages of a list a registry may send.
const maxPages = 100

// Tags returns the tags of a repository, in the registry's order.
func (c *Client) Tags(ctx context.Context, g ref.GUN) ([]string, error) {
	var tags []string
	err := c.pages(ctx, g.Reference(), "tags/list", func(b []byte, _ http.Header) error {
		var page struct{ Tags []string }
		if err := json.Unmarshal(b, &page); err != nil {
			return fault.Errorf(fault.Invalid, "parse tags: %w", err)
		}
		tags = append(tags, page.Tags...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tags of %q: %w", g, err)
	}
	return tags, nil
}

// Referrers returns the manifests that name the manifest r@digest as their
// subject, of the given artifact type only unless it is "" (distribution-spec,
// "Listing Referrers"). Registries without the API are asked for the tag that
// stands in for it.
func (c *Client) Referrers(ctx context.Context, r ref.Reference, artifactType string) ([]v1.Descriptor, error) {
	if r.Digest == "" {
		return nil, fault.Errorf(fault.Invalid, "list referrers of %q: it has no digest", r)
	}
	what := "referrers/" + string(r.Digest)
	if artifactType != "" {
		what += "?artifactType=" + url.QueryEscape(artifactType)
	}
	var found []v1.Descriptor
	pages := 0
	err := c.pages(ctx, r, what, func(b []byte, header http.Header) error {
		pages++
		doc, err := ParseDocument(contentType(header), b)
		if err != nil {
			return err
		}
		if doc.Index == nil {
			return fault.Errorf(fault.Invalid, "a %s instead of an index", doc.MediaType)
		}
		found = append(found, doc.Index.Manifests...)
		return nil
	})
	switch {
	case fault.Is(err, fault.NotFound) && pages > 0: // the rest of the list is missing, not the list
		err = fault.As(fault.Unavailable, err)
	case fault.Is(err, fault.NotFound):
		var index v1.Index
		if index, _, err = c.referrersTag(ctx, r); err == nil {
			found = index.Manifests
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list referrers of %q: %w", r, err)
	}
	return ofType(found, artifactType), nil
}

func ofType(all []v1.Descriptor, artifactType string) []v1.Descriptor {
	var of []v1.Descriptor
	for _, d := range all {
		if artifactType == "" || d.ArtifactType == artifactType {
			of = append(of, d)
		}
	}
	return of
}

// pages gets what and all pages that follow it (RFC 8288, Link: rel="next").
func (c *Client) pages(ctx context.Context, r ref.Reference, what string, page func([]byte, http.Header) error) error {
	ctx = c.scoped(ctx, r, "pull")
	at := c.url(r, what)
	for range maxPages {
		next, err := c.page(ctx, r, at, page)
		if err != nil || next == "" {
			return err
		}
		at = next
	}
	return fault.Errorf(fault.Invalid, "more than %d pages", maxPages)
}

func (c *Client) page(ctx context.Context, r ref.Reference, at string, page func([]byte, http.Header) error) (next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", fault.As(fault.Invalid, err)
	}
	resp, err := c.do(req, r, http.StatusOK)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := readCapped(resp.Body, MaxManifest)
	if err != nil {
		return "", err
	}
	if err := page(b, resp.Header); err != nil {
		return "", err
	}
	return nextPage(req.URL, resp.Header.Get("Link"))
}

var relNext = regexp.MustCompile(`;\s*rel\s*=\s*("next"|next\s*(;|$))`)

// nextPage returns the address in a Link header, which must stay on the same
// host, or "" if there is no header. One that is not understood is an error: a
// list must not seem to end where it was cut.
func nextPage(at *url.URL, link string) (string, error) {
	if link = strings.TrimSpace(link); link == "" {
		return "", nil
	}
	target, params, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !ok || !relNext.MatchString(params) {
		return "", fault.Errorf(fault.Invalid, "the list goes on in a way that is not understood (Link: %s)", clip(link))
	}
	next, err := at.Parse(target)
	if err != nil {
		return "", fault.Errorf(fault.Invalid, "link to the next page: %w", err)
	}
	if next.Scheme != at.Scheme || next.Host != at.Host {
		return "", fault.Errorf(fault.Invalid, "the next page is said to be at another host, %q", next.Host)
	}
	return next.String(), nil
}

// referrersTag returns the index that stands in for the referrers API
// (distribution-spec, "Referrers Tag Schema"), empty if there is none, and the
// condition under which it may be replaced.
func (c *Client) referrersTag(ctx context.Context, r ref.Reference) (v1.Index, Condition, error) {
	m, err := c.Manifest(ctx, r.WithTag(fallbackTag(r.Digest)))
	if fault.Is(err, fault.NotFound) {
		return v1.Index{}, Condition{IfNoneMatch: true}, nil
	}
	if err != nil {
		return v1.Index{}, Condition{}, err
	}
	doc, err := ParseDocument(m.MediaType, m.Bytes)
	if err != nil {
		return v1.Index{}, Condition{}, err
	}
	if doc.Index == nil {
		return v1.Index{}, Condition{}, fault.Errorf(fault.Invalid, "tag %q is a %s instead of an index", fallbackTag(r.Digest), doc.MediaType)
	}
	return *doc.Index, Condition{IfMatch: m.ETag}, nil
}

func fallbackTag(d ref.Digest) string {
	return strings.Replace(string(d), ":", "-", 1)
}

// maxListTries is how often a referrer is put on a list that others change at
// the same time.
const maxListTries = 8

// listReferrer adds d to the index that stands in for the referrers API. Not
// every registry has a compare-and-set for tags, so the list is read again
// afterwards: what somebody else wrote over meanwhile is written once more. Where
// there is none, somebody who writes later from what they read earlier can still
// win; the artifact is there then, and putting it again lists it.
func (c *Client) listReferrer(ctx context.Context, r ref.Reference, subject, d v1.Descriptor) error {
	for range maxListTries {
		there, err := c.tryListReferrer(ctx, r, subject, d)
		if there {
			return nil
		}
		if err != nil && !fault.Is(err, fault.Conflict) {
			return fmt.Errorf("list referrer: %w", err)
		}
	}
	return fault.Errorf(fault.Conflict, "list referrer: others change tag %q all the time", fallbackTag(subject.Digest))
}

// tryListReferrer reports whether d is on the list; if not, it puts it there,
// which the next try finds.
func (c *Client) tryListReferrer(ctx context.Context, r ref.Reference, subject, d v1.Descriptor) (there bool, err error) {
	index, cond, err := c.referrersTag(ctx, r.WithDigest(subject.Digest))
	if err != nil {
		return false, err
	}
	for _, have := range index.Manifests {
		if have.Digest == d.Digest {
			return true, nil
		}
	}
	index.Versioned = specs.Versioned{SchemaVersion: 2}
	index.MediaType = v1.MediaTypeImageIndex
	index.Manifests = append(index.Manifests, d)
	b, err := json.Marshal(index)
	if err != nil {
		return false, err
	}
	_, err = c.PushManifest(ctx, r.WithTag(fallbackTag(subject.Digest)), v1.MediaTypeImageIndex, b, cond)
	return false, err
}

func (doc Document) subject() *v1.Descriptor {
	if doc.Manifest != nil {
		return doc.Manifest.Subject
	}
	return doc.Index.Subject
}

// referrer returns d as a list of referrers shows it.
func (doc Document) referrer(d v1.Descriptor) v1.Descriptor {
	if doc.Manifest == nil {
		d.ArtifactType, d.Annotations = doc.Index.ArtifactType, doc.Index.Annotations
		return d
	}
	d.ArtifactType, d.Annotations = doc.Manifest.ArtifactType, doc.Manifest.Annotations
	if d.ArtifactType == "" {
		d.ArtifactType = doc.Manifest.Config.MediaType
	}
	return d
}
