package oci

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// maxErrorBody bounds how much of a refusal is read, and maxErrorText how much
// of it is shown.
const (
	maxErrorBody = 16 << 10
	maxErrorText = 300
)

// do sends req, which is about r, and returns the answer if its status is one
// of want. The caller closes its body.
func (c *Client) do(req *http.Request, r ref.Reference, want ...int) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err, req, r)
	}
	if slices.Contains(want, resp.StatusCode) {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what there is of it will do
	return nil, statusError(resp.StatusCode, message(body), resp.Header.Get("Retry-After"), req, r)
}

// explain gives an error that came instead of an answer its kind.
func (c *Client) explain(err error, req *http.Request, r ref.Reference) error {
	var refused *errcode.ErrorResponse
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return statusError(http.StatusUnauthorized, "", "", req, r)
	case errors.As(err, &refused): // by the token service
		return statusError(refused.StatusCode, clip(refused.Errors.Error()), "", req, r)
	}
	// url.Error repeats the address, which after a redirect may hold a secret.
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if noTLS := new(tls.RecordHeaderError); errors.As(err, noTLS) && !c.plainHTTP && isLoopback(r.Host) {
		err := fault.Errorf(fault.Unavailable, "registry %q does not speak TLS: %w", r.Host, err)
		return fault.Hint(err, "--plain-http (PLIMSOLL_PLAIN_HTTP=1) speaks to registries on this machine without it")
	}
	if k := fault.KindOf(err); k != fault.Internal {
		return fmt.Errorf("registry %q: %w", r.Host, err)
	}
	return fault.Errorf(fault.Unavailable, "registry %q: %s %s: %w", r.Host, req.Method, safeURL(req.URL), err)
}

// statusError is what a refusal with that status means for r.
func statusError(status int, text, retryAfter string, req *http.Request, r ref.Reference) error {
	if text != "" {
		text = ": " + text
	}
	switch status {
	case http.StatusUnauthorized:
		err := fault.Errorf(fault.Unavailable, "registry %q does not let us in (401): %q needs credentials, or better ones%s", r.Host, r, text)
		return fault.Hint(err, "docker login %s", r.Host)
	case http.StatusForbidden:
		err := fault.Errorf(fault.Unavailable, "registry %q refuses access to %q (403)%s", r.Host, r, text)
		return fault.Hint(err, "docker login %s, as somebody who has access", r.Host)
	case http.StatusNotFound:
		return fault.Errorf(fault.NotFound, "%q is not in the registry%s", r, text)
	case http.StatusPreconditionFailed:
		return fault.Errorf(fault.Conflict, "%q was changed by somebody else%s", r, text)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if retryAfter != "" {
			text += fmt.Sprintf(" (it asks to come back after %s)", clip(retryAfter))
		}
		return fault.Errorf(fault.Unavailable, "registry %q puts us off (%d)%s", r.Host, status, text)
	}
	return fault.Errorf(fault.Unavailable, "registry %q: %s %s: status %d%s", r.Host, req.Method, safeURL(req.URL), status, text)
}

// message returns the readable part of a registry's refusal
// (distribution-spec, "Error Codes").
func message(body []byte) string {
	var refusal struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(body, &refusal) != nil {
		return ""
	}
	var texts []string
	for _, e := range refusal.Errors {
		texts = append(texts, strings.TrimSpace(e.Code+" "+e.Message))
	}
	return clip(strings.Join(texts, "; "))
}

// clip returns s quoted and cut to what a person wants to read.
func clip(s string) string {
	if s == "" {
		return ""
	}
	if len(s) > maxErrorText {
		s = s[:maxErrorText] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// safeURL returns u without its query and user, which may be secrets.
func safeURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
