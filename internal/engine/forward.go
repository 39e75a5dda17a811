package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"plimsoll/internal/fault"
)

// Limits on what the engine says, in bytes: it is asked by us, but others chose
// what it lists.
const (
	maxAnswer = 64 << 20 // of a list or an inspection
	maxSaid   = 64 << 10 // of an error
)

// outgoing is a request to the engine, made of what was judged.
type outgoing struct {
	method   string
	path     string // below the version, escaped by nobody: parseTarget's characters only
	query    url.Values
	body     io.Reader
	length   int64 // of the body; -1 if it is not known
	kind     string
	registry bool // carries the client's credentials for registries
}

// registryHeaders are passed on where an engine talks to a registry.
var registryHeaders = []string{"X-Registry-Auth", "X-Registry-Config"}

// answerHeaders of the engine are passed on; all others stay here.
var answerHeaders = []string{
	"Api-Version", "Builder-Version", "Content-Type", "Docker-Experimental", "Ostype", "Swarm", "Cache-Control", "Pragma", "X-Docker-Container-Path-Stat",
}

func jsonBody(path string, query url.Values, body any) (outgoing, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return outgoing{}, fault.As(fault.Internal, err)
	}
	return outgoing{method: http.MethodPost, path: path, query: query, body: bytes.NewReader(data), length: int64(len(data)), kind: "application/json"}, nil
}

// request makes the HTTP request, with a number of its own.
func (q *request) outgoing(ctx context.Context, o outgoing) (*http.Request, error) {
	u := url.URL{Scheme: "http", Host: "docker", Path: "/" + o.path, RawQuery: o.query.Encode()}
	if q.target.version != "" {
		u.Path = "/" + q.target.version + u.Path
	}
	r, err := http.NewRequestWithContext(ctx, o.method, u.String(), o.body)
	if err != nil {
		return nil, fault.As(fault.Internal, err)
	}
	nonce, err := q.p.Nonces.Issue(o.method, u.RequestURI())
	if err != nil {
		return nil, err
	}
	r.Header.Set(NonceHeader, nonce)
	r.Header.Set("User-Agent", "plimsoll")
	if o.body != nil {
		r.ContentLength = o.length
		r.Header.Set("Content-Type", o.kind)
	}
	if o.registry {
		for _, name := range registryHeaders {
			if v := q.r.Header.Get(name); v != "" {
				r.Header.Set(name, v)
			}
		}
	}
	return r, nil
}

// send sends a request to the engine. The caller closes the answer's body.
func (q *request) send(ctx context.Context, o outgoing) (*http.Response, error) {
	r, err := q.outgoing(ctx, o)
	if err != nil {
		return nil, err
	}
	defer q.p.Nonces.Forget(r.Header.Get(NonceHeader))
	resp, err := q.p.transport.RoundTrip(r)
	if err != nil {
		if k := fault.KindOf(err); k != fault.Internal {
			return nil, err
		}
		return nil, fault.Errorf(fault.Unavailable, "the engine: %w", err)
	}
	return resp, nil
}

// pass sends a request and gives the answer to the client as it comes. It
// returns the status.
func (q *request) pass(o outgoing) (int, error) {
	resp, err := q.send(q.ctx(), o)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, q.answer(resp, nil)
}

// passJSON posts body, which was judged, and gives the answer to the client.
func (q *request) passJSON(path string, body any) error {
	o, err := jsonBody(path, nil, body)
	if err != nil {
		return err
	}
	_, err = q.pass(o)
	return err
}

// same sends on what the client asked, to the path given, with the query that was
// parsed and without a body.
func (q *request) same(path string) (int, error) {
	return q.pass(outgoing{method: q.r.Method, path: path, query: q.query.Values})
}

// answer copies an answer of the engine to the client. see, if not nil, is shown
// what goes by.
func (q *request) answer(resp *http.Response, see io.Writer) error {
	q.begin(resp)
	var from io.Reader = resp.Body
	if see != nil {
		from = io.TeeReader(from, see)
	}
	if resp.ContentLength >= 0 && see == nil {
		_, err := io.Copy(q.w, from)
		return gone(err)
	}
	return q.stream(from)
}

// begin writes the status and headers of the engine's answer.
func (q *request) begin(resp *http.Response) {
	for _, name := range answerHeaders {
		if v := resp.Header.Get(name); v != "" {
			q.w.Header().Set(name, v)
		}
	}
	if resp.ContentLength >= 0 {
		q.w.Header().Set("Content-Length", resp.Header.Get("Content-Length"))
	}
	q.answered = true
	q.w.WriteHeader(resp.StatusCode)
}

// stream copies and flushes each piece, as it comes.
func (q *request) stream(from io.Reader) error {
	flush := http.NewResponseController(q.w)
	buf := make([]byte, 64<<10)
	for {
		if err := flush.Flush(); err != nil {
			return gone(err)
		}
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := q.w.Write(buf[:n]); err != nil {
				return gone(err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return gone(err)
		}
	}
}

// gone is an error of a stream: nobody can be told, but the connection must end.
func gone(err error) error {
	if err == nil {
		return nil
	}
	return fault.As(fault.Unavailable, err)
}

// ask sends a request of our own and reads the JSON answer. An answer that is not
// 2xx is an [engineError].
func (q *request) ask(o outgoing, into any) error {
	resp, err := q.send(q.ctx(), o)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return said(resp)
	}
	if into == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		return gone(err)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(data) > maxAnswer {
		return fault.Errorf(fault.Unavailable, "the engine's answer is cut or too long: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fault.Errorf(fault.Unavailable, "the engine's answer: %w", err)
	}
	return nil
}

// said returns the engine's error.
func said(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxSaid))
	var m struct {
		Message string `json:"message"`
	}
	if err != nil || json.Unmarshal(data, &m) != nil || m.Message == "" {
		m.Message = strings.TrimSpace(string(data))
	}
	return &engineError{status: resp.StatusCode, message: m.Message}
}

// isStatus reports whether err is an answer of the engine with that status.
func isStatus(err error, status int) bool {
	var e *engineError
	return errors.As(err, &e) && e.status == status
}
