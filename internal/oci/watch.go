package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"plimsoll/internal/fault"
)

// watcher ends requests whose registry has gone silent. A timer runs whenever
// it is the registry's turn: from the last byte sent until the answer begins,
// and while the next bytes of the answer are waited for. It does not run while
// our own side is busy, so a slow reader is never taken for a slow registry.
type watcher struct {
	next            http.RoundTripper
	response, stall time.Duration
}

var errSilent = errors.New("registry is silent")

// watch is the timer of one request.
type watch struct {
	mu     sync.Mutex
	timer  *time.Timer
	ctx    context.Context //nolint:containedctx // the request's own, asked for its cause
	cancel context.CancelCauseFunc
	name   string // of the request, for messages
	limit  time.Duration
	// answered says that the answer has begun: what is still sent then is not
	// waited for.
	answered bool
}

// RoundTrip implements [http.RoundTripper].
func (t *watcher) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{ctx: ctx, cancel: cancel, name: req.Method + " " + safeURL(req.URL), limit: t.response}
	w.timer = time.AfterFunc(t.response, func() { cancel(errSilent) })
	watched := req.Clone(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		watched.Body = &sending{req.Body, w}
	}
	resp, err := t.next.RoundTrip(watched)
	w.answer(t.stall)
	if err != nil {
		err = w.explain(err)
		w.end()
		return nil, err
	}
	resp.Body = &receiving{resp.Body, w}
	return resp, nil
}

// sent starts the timer for a registry that has yet to take bytes or to answer.
func (w *watch) sent() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.answered {
		w.timer.Reset(w.limit)
	}
}

// answer stops the timer; limit is for the bytes of the answer.
func (w *watch) answer(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	if w.ctx.Err() == nil { // else the old limit is what was exceeded
		w.limit, w.answered = limit, true
	}
}

func (w *watch) pause() { w.timer.Stop() }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain gives err a kind and, if it was the timer, a better text.
func (w *watch) explain(err error) error {
	switch {
	case errors.Is(context.Cause(w.ctx), errSilent):
		return fault.Errorf(fault.Unavailable, "%s: no answer for %v", w.name, w.limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return fault.As(fault.Unavailable, err)
}

// sending is the body of a request: while the transport is between two reads,
// it waits for the registry to take the bytes.
type sending struct {
	io.ReadCloser
	w *watch
}

func (s *sending) Read(p []byte) (int, error) {
	s.w.pause()
	n, err := s.ReadCloser.Read(p)
	s.w.sent()
	return n, err
}

// receiving is the body of an answer: while a read lasts, it waits for the
// registry.
type receiving struct {
	io.ReadCloser
	w *watch
}

func (r *receiving) Read(p []byte) (int, error) {
	r.w.timer.Reset(r.w.limit)
	n, err := r.ReadCloser.Read(p)
	r.w.pause()
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.w.explain(err)
	}
	return n, err
}

func (r *receiving) Close() error {
	err := r.ReadCloser.Close()
	r.w.end()
	return err
}
