package oci

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// retrier sends a request again that a registry puts off: 429 Too Many Requests
// and 503 Service Unavailable. It waits as Retry-After says (RFC 9110, section
// 10.2.3), or longer each time if it says nothing, and gives up on a registry
// that asks for more than maxWait.
type retrier struct {
	next    http.RoundTripper
	tries   int
	maxWait time.Duration
}

// RoundTrip implements [http.RoundTripper].
func (t *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := t.next.RoundTrip(req)
		if err != nil || !putOff(resp) || try >= t.tries {
			return resp, err
		}
		wait := retryAfter(resp, time.Now(), try)
		if wait > t.maxWait {
			return resp, nil
		}
		again, ok := rewind(req)
		if !ok {
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // for the connection's sake only
		_ = resp.Body.Close()
		if err := sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		req = again
	}
}

func putOff(resp *http.Response) bool {
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
}

// rewind returns req with its body from the start, if it has one that can be
// had again.
func rewind(req *http.Request) (*http.Request, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again := req.Clone(req.Context())
	again.Body = body
	return again, true
}

// retryAfter returns how long to wait before another try.
func retryAfter(resp *http.Response, now time.Time, try int) time.Duration {
	h := resp.Header.Get("Retry-After")
	if s, err := strconv.ParseUint(h, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(h); err == nil {
		return max(0, at.Sub(now))
	}
	base := 250 * time.Millisecond << try
	return base + rand.N(base/2) //nolint:gosec // spreads clients, keeps no secret
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
