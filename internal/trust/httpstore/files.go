package httpstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/trust"
)

// Config says which server is read and how patient we are. Zero fields get the
// defaults that stand beside them.
type Config struct {
	Base      string            // URL below which everything lies
	Insecure  bool              // http is taken from any host, not only from this machine
	Transport http.RoundTripper // a copy of http.DefaultTransport
	Timeout   time.Duration     // for one answer to begin and a small one to end: 30 seconds
	Rate      int64             // bytes per second that a server must reach in the long run: 16 KiB
}

// Files are the files below one URL. They may be used concurrently.
type Files struct {
	base    string // escaped, without a slash at its end
	http    *http.Client
	timeout time.Duration
	rate    int64
}

var _ trust.Collection = (*Files)(nil)

// maxSeconds bounds the time for one file, however long somebody says that it is:
// a day.
const maxSeconds = 24 * 60 * 60

// maxRedirects is how often one request may be sent elsewhere on the same host.
const maxRedirects = 3

// NewFiles returns the files below cfg.Base. Usage if it is no URL of a kind that
// is taken.
func NewFiles(cfg Config) (*Files, error) {
	u, err := url.Parse(cfg.Base)
	switch {
	case err != nil:
		return nil, fault.Errorf(fault.Usage, "%q is not a URL", cfg.Base)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "":
		return nil, fault.Errorf(fault.Usage, "a URL of metadata has a host and a path, nothing else")
	case u.Scheme != "https" && (u.Scheme != "http" || !cfg.Insecure && !loopback(u.Hostname())):
		return nil, fault.Errorf(fault.Usage, "%q: metadata comes over https, or over http from this machine", cfg.Base)
	}
	f := &Files{base: strings.TrimRight(u.String(), "/"), timeout: cfg.Timeout, rate: cfg.Rate}
	if f.timeout == 0 {
		f.timeout = 30 * time.Second
	}
	if f.rate == 0 {
		f.rate = 16 << 10
	}
	f.http = &http.Client{Transport: cfg.Transport, CheckRedirect: sameHost}
	if cfg.Transport == nil {
		f.http.Transport = newTransport()
	}
	return f, nil
}

// newTransport returns a transport that does not unpack what it gets: lengths and
// hashes are those of the bytes on the wire.
func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.DisableCompression = true
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// sameHost lets a server move files about, but not send us to another one.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return fault.Errorf(fault.Unavailable, "sent on to another host, %q", req.URL.Host)
	}
	if len(via) > maxRedirects {
		return fault.Errorf(fault.Unavailable, "sent on more than %d times", maxRedirects)
	}
	return nil
}

// Read implements [trust.Collection]. Unavailable if the server takes too long,
// fails, or sends us to another host.
func (f *Files) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	body, err := f.Open(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read %q: %w", name, cause(err)))
	}
	if int64(len(b)) > limit {
		return nil, tooLong(name, limit)
	}
	return b, nil
}

func tooLong(name string, limit int64) error {
	return fault.Errorf(fault.Untrusted, "%q is longer than %d bytes", name, limit)
}

// Open returns the file at path, which is relative to the base and escaped, for
// reading. NotFound if there is none, Untrusted if the server says that it is
// longer than limit bytes; it may send more all the same. The time for all of it
// is bounded by limit and the rate of the configuration, and is at most a day. The
// caller closes it.
func (f *Files) Open(ctx context.Context, path string, limit int64) (io.ReadCloser, error) {
	patience := f.timeout + min(time.Duration(limit/f.rate), maxSeconds)*time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	body, err := f.get(ctx, path, limit)
	if err != nil {
		cancel()
		return nil, err
	}
	return &answer{body, cancel}, nil
}

// nextRoot is the one file for which a client asks in the hope that it is not
// there. Object stores that nobody may list answer 403 for what they do not have.
var nextRoot = regexp.MustCompile(`^(?:.*/)?[0-9]+\.root\.json$`)

func (f *Files) get(ctx context.Context, path string, limit int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"/"+path, nil)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%q is not a path", path)
	}
	req.Header.Set("User-Agent", "plimsoll")
	resp, err := f.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fault.As(fault.Unavailable, fmt.Errorf("%q: %w", path, cause(err)))
	}
	switch {
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone,
		resp.StatusCode == http.StatusForbidden && nextRoot.MatchString(path):
		err = fault.Errorf(fault.NotFound, "no file %q", path)
	case resp.StatusCode != http.StatusOK:
		err = fault.Errorf(fault.Unavailable, "%q: the server answers %d", path, resp.StatusCode)
	case resp.ContentLength > limit:
		err = tooLong(path, limit)
	default:
		return resp.Body, nil
	}
	_ = resp.Body.Close() // the status was the answer
	return nil, err
}

// cause returns what is wrong without the address, which the caller names.
func cause(err error) error {
	if u := new(url.Error); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// answer ends the request when it is closed.
type answer struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (a *answer) Close() error {
	defer a.cancel()
	return a.ReadCloser.Close()
}
