package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"plimsoll/internal/fault"
)

// Refusal is a request that reached the engine and was not judged.
type Refusal struct {
	Method, URI string
	Reason      string
}

// Plugin is the second lock: what the engine asks whether a request may be
// served (Docker's authorization plugin API). It does not judge again. A request
// that the proxy judged bears a nonce and passes; any other came round the proxy
// and gets only the harmless routes. So it does not matter what the engine does
// not show to plugins: bodies over 1 MiB, streams, who the caller is.
//
// Whatever it cannot read it denies. It may be used concurrently.
type Plugin struct {
	nonces  *Nonces
	refused func(context.Context, Refusal)
	passed  passed
}

var _ http.Handler = (*Plugin)(nil)

// NewPlugin returns the plugin over the nonces that the proxy issues. refused, if not nil,
// hears of each denied request.
func NewPlugin(nonces *Nonces, refused func(context.Context, Refusal)) *Plugin {
	return &Plugin{nonces: nonces, refused: refused, passed: passed{max: maxPassed}}
}

const (
	// maxQuestion bounds what the engine sends: a body of up to 1 MiB as base64,
	// twice in an answer's question, headers and certificates.
	maxQuestion = 8 << 20
	// maxPassed bounds the requests that are being served at a time.
	maxPassed = 1 << 16

	pluginType = "application/vnd.docker.plugins.v1.1+json"
)

// authzQuestion is what the engine asks, with every field that it has. Bodies are
// taken and not looked at.
type authzQuestion struct {
	User, UserAuthNMethod   string
	RequestMethod           string
	RequestURI              string `json:"RequestUri"`
	RequestBody             []byte
	RequestHeaders          map[string]string
	RequestPeerCertificates []string
	ResponseStatusCode      int
	ResponseBody            []byte
	ResponseHeaders         map[string]string
}

// authzAnswer is what it hears.
type authzAnswer struct {
	Allow bool
	Msg   string
	Err   string
}

// ServeHTTP answers the engine.
func (p *Plugin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "only POST", http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case "/Plugin.Activate":
		reply(w, map[string][]string{"Implements": {"authz"}})
	case "/AuthZPlugin.AuthZReq":
		p.answer(w, r, p.request)
	case "/AuthZPlugin.AuthZRes":
		p.answer(w, r, p.response)
	default:
		http.NotFound(w, r)
	}
}

func (p *Plugin) answer(w http.ResponseWriter, r *http.Request, judge func(*authzQuestion) error) {
	q, err := parseQuestion(r.Body)
	if err == nil {
		err = judge(q)
	}
	if err == nil {
		reply(w, authzAnswer{Allow: true})
		return
	}
	if p.refused != nil {
		refusal := Refusal{Reason: err.Error()}
		if q != nil {
			refusal.Method, refusal.URI = q.RequestMethod, q.RequestURI
		}
		p.refused(r.Context(), refusal)
	}
	reply(w, authzAnswer{Msg: err.Error()})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", pluginType)
	_ = json.NewEncoder(w).Encode(v) // an engine that does not hear it denies
}

// parseQuestion reads what the engine sent: one JSON object without fields that
// this program does not know, and with method and URI.
func parseQuestion(r io.Reader) (*authzQuestion, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxQuestion+1))
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "plimsoll cannot read what the engine asks: %w", err)
	}
	if len(b) > maxQuestion {
		return nil, fault.Errorf(fault.Invalid, "plimsoll was asked in more than %d bytes", maxQuestion)
	}
	q := new(authzQuestion)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(q); err != nil {
		return nil, fault.Errorf(fault.Invalid, "plimsoll does not understand what the engine asks: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Errorf(fault.Invalid, "plimsoll was asked two things at once")
	}
	if q.RequestMethod == "" || q.RequestURI == "" {
		return nil, fault.Errorf(fault.Invalid, "plimsoll was asked about a request without method or URI")
	}
	return q, nil
}

// request judges a request before the engine serves it.
func (p *Plugin) request(q *authzQuestion) error {
	nonce, err := nonceOf(q.RequestHeaders)
	switch {
	case err != nil:
		return err
	case nonce == "" && harmless(q.RequestMethod, q.RequestURI):
		return nil
	case nonce == "":
		return fmt.Errorf("plimsoll did not judge this request: use the socket /run/docker.sock")
	case !p.nonces.Redeem(nonce, q.RequestMethod, q.RequestURI):
		return fmt.Errorf("plimsoll did not mark this request, or it came twice: use the socket /run/docker.sock")
	}
	p.passed.add(passage{nonce, q.RequestMethod, q.RequestURI})
	return nil
}

// response judges the engine's answer: it may be seen if its request passed.
func (p *Plugin) response(q *authzQuestion) error {
	nonce, err := nonceOf(q.RequestHeaders)
	switch {
	case err != nil:
		return err
	case nonce == "" && harmless(q.RequestMethod, q.RequestURI):
		return nil
	case nonce != "" && p.passed.take(passage{nonce, q.RequestMethod, q.RequestURI}):
		return nil
	}
	return fmt.Errorf("plimsoll did not judge the request of this answer: use the socket /run/docker.sock")
}

// nonceOf returns the nonce among the headers, "" if there is none. Two spellings
// of its name are refused: one of them is not the proxy's.
func nonceOf(headers map[string]string) (string, error) {
	nonce, seen := "", false
	for name, value := range headers {
		if !strings.EqualFold(name, NonceHeader) {
			continue
		}
		if seen || value == "" {
			return "", fault.Errorf(fault.Denied, "plimsoll refuses a request that is marked twice, or with nothing")
		}
		nonce, seen = value, true
	}
	return nonce, nil
}

// passage is a judged request on its way through the engine.
type passage struct{ nonce, method, uri string }

// passed remembers the requests that passed until their answer does. The oldest
// is forgotten when there are more than max.
type passed struct {
	max int

	mu    sync.Mutex
	all   map[passage]bool
	order []passage
}

func (p *passed) add(w passage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[passage]bool{}
	}
	p.all[w] = true
	p.order = append(p.order, w)
	for len(p.all) > p.max {
		delete(p.all, p.order[0])
		p.order = p.order[1:]
	}
	if len(p.order) > 2*len(p.all)+16 { // most have been taken
		live := make([]passage, 0, len(p.all))
		for _, w := range p.order {
			if p.all[w] {
				live = append(live, w)
			}
		}
		p.order = live
	}
}

// take is true once for what was added.
func (p *passed) take(w passage) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.all[w] {
		return false
	}
	delete(p.all, w)
	return true
}
