package oci

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Config says how registries are spoken to. The zero value is usable.
type Config struct {
	// PlainHTTP makes the client speak HTTP without TLS to registries on
	// loopback (localhost, 127.0.0.0/8, [::1]). All others get HTTPS always.
	PlainHTTP bool
	// Credentials returns the credentials for a host. The default asks the
	// user's Docker configuration, credential helpers included.
	Credentials auth.CredentialFunc
	// Transport carries the requests. The default verifies TLS certificates
	// against the system's roots and honours HTTPS_PROXY and NO_PROXY.
	Transport http.RoundTripper
	// Response is how long a registry may take to begin an answer, and Stall
	// how long it may take to send or take the next bytes of one. Defaults: 60 s
	// and 30 s. There is no limit on the whole, which may be long.
	Response, Stall time.Duration
	// Tries is how often a request is sent that is answered by 429 or 503, and
	// MaxWait the longest wait between two that a registry may ask for.
	// Defaults: 5 and 60 s.
	Tries   int
	MaxWait time.Duration
}

// Client is a client of registries (OCI distribution-spec 1.1). It may be used
// concurrently and keeps access tokens for as long as it lives.
type Client struct {
	plainHTTP bool
	http      *auth.Client
}

// New returns a client as config says.
func New(config Config) *Client {
	config.fill()
	c := &Client{plainHTTP: config.PlainHTTP}
	c.http = &auth.Client{
		Client: &http.Client{
			Transport: &retrier{
				next:    &watcher{next: config.Transport, response: config.Response, stall: config.Stall},
				tries:   config.Tries,
				maxWait: config.MaxWait,
			},
			CheckRedirect: c.checkRedirect,
		},
		Header:     http.Header{"User-Agent": {"plimsoll"}},
		Credential: config.Credentials,
		Cache:      auth.NewCache(),
		ClientID:   "plimsoll",
	}
	return c
}

func (c *Config) fill() {
	if c.Credentials == nil {
		c.Credentials = dockerCredentials
	}
	if c.Transport == nil {
		c.Transport = newTransport()
	}
	if c.Response == 0 {
		c.Response = time.Minute
	}
	if c.Stall == 0 {
		c.Stall = 30 * time.Second
	}
	if c.Tries == 0 {
		c.Tries = 5
	}
	if c.MaxWait == 0 {
		c.MaxWait = time.Minute
	}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConnsPerHost: 8,
		// Blobs are compressed and named by the digest of what is sent: the
		// transport must not decompress.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// dockerCredentials reads the user's Docker configuration when a registry asks
// for credentials, and not before: without it, public images still work.
func dockerCredentials(ctx context.Context, host string) (auth.Credential, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return auth.EmptyCredential, fault.Errorf(fault.Unavailable, "read Docker's configuration: %w", err)
	}
	cred, err := credentials.Credential(store)(ctx, host)
	if err != nil {
		return auth.EmptyCredential, fault.Errorf(fault.Unavailable, "credentials for %q from Docker's configuration: %w", host, err)
	}
	return cred, nil
}

const maxRedirects = 5

// checkRedirect refuses redirects that leave TLS. That credentials do not
// follow to another origin is seen to by the auth client.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if req.URL.Scheme == "https" || (via[0].URL.Scheme == "http" && c.scheme(req.URL.Host) == req.URL.Scheme) {
		return nil
	}
	return fmt.Errorf("redirect to %q, which is not HTTPS", req.URL.Scheme+"://"+req.URL.Host)
}

// scheme returns how host is spoken to.
func (c *Client) scheme(host string) string {
	if c.plainHTTP && isLoopback(host) {
		return "http"
	}
	return "https"
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(trimBrackets(host))
	return err == nil && ip.Unmap().IsLoopback()
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// endpoint returns the host that serves host's images: docker.io's registry has
// another name.
func endpoint(host string) string {
	if host == "docker.io" {
		return "registry-1.docker.io"
	}
	return host
}

// url returns the address of what in r's repository, "manifests/latest".
func (c *Client) url(r ref.Reference, what string) string {
	return c.scheme(r.Host) + "://" + endpoint(r.Host) + "/v2/" + r.Path + "/" + what
}

// scoped returns ctx with the token scope that the request will need, so that
// the first token covers all that is done with it.
func (c *Client) scoped(ctx context.Context, r ref.Reference, actions ...string) context.Context {
	return auth.AppendScopesForHost(ctx, endpoint(r.Host), auth.ScopeRepository(r.Path, actions...))
}

var errNoReference = errors.New("the reference has neither tag nor digest")
