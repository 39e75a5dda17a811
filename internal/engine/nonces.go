package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"sync"
	"time"

	"plimsoll/internal/fault"
)

// NonceHeader carries the one-time number of a request that the proxy judged.
// Nothing that a client sends under this name is passed on.
const NonceHeader = "X-Plimsoll-Nonce"

const (
	nonceLife = time.Minute // from being issued to being redeemed
	maxNonces = 1 << 16     // outstanding at one time
)

// Nonces are the one-time numbers by which the plugin knows what the proxy has
// judged. Each stands for one request of one method and one URI, once, and only
// for a minute; they are kept in memory, so that none survives the guard. They
// are safe for concurrent use.
type Nonces struct {
	now func() time.Time

	mu    sync.Mutex
	live  map[[sha256.Size]byte]nonce
	order [][sha256.Size]byte // oldest first
}

type nonce struct {
	request [sha256.Size]byte
	until   time.Time
}

// NewNonces returns an empty table.
func NewNonces() *Nonces {
	return &Nonces{now: time.Now, live: map[[sha256.Size]byte]nonce{}}
}

// Issue returns a number for one request: its method, and its URI exactly as
// it is written on the request line. It is Unavailable when too many requests are
// under way.
func (n *Nonces) Issue(method, uri string) (string, error) {
	text := rand.Text() + rand.Text()
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	n.expire(now)
	if len(n.live) >= maxNonces {
		return "", fault.Errorf(fault.Unavailable, "more than %d requests are under way", maxNonces)
	}
	key := sha256.Sum256([]byte(text))
	n.live[key] = nonce{request: requestHash(method, uri), until: now.Add(nonceLife)}
	n.order = append(n.order, key)
	return text, nil
}

// Redeem reports whether the number was issued for this method and URI, is still
// young, and was never asked about before. Whatever it answers, the number is
// spent. It is looked up by its hash, so that the time an answer takes says
// nothing of numbers that exist.
func (n *Nonces) Redeem(text, method, uri string) bool {
	key := sha256.Sum256([]byte(text))
	want := requestHash(method, uri)
	n.mu.Lock()
	defer n.mu.Unlock()
	found, ok := n.live[key]
	delete(n.live, key)
	return ok && n.now().Before(found.until) && subtle.ConstantTimeCompare(found.request[:], want[:]) == 1
}

// Vouch returns a transport for requests of the guard's own, which gives each a
// number.
func (n *Nonces) Vouch(base http.RoundTripper) http.RoundTripper { return vouching{n, base} }

type vouching struct {
	nonces *Nonces
	base   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (v vouching) RoundTrip(r *http.Request) (*http.Response, error) {
	number, err := v.nonces.Issue(r.Method, r.URL.RequestURI())
	if err != nil {
		return nil, err
	}
	defer v.nonces.Forget(number)
	r = r.Clone(r.Context())
	r.Header.Set(NonceHeader, number)
	return v.base.RoundTrip(r)
}

// CloseIdleConnections passes on what [http.Client] asks for.
func (v vouching) CloseIdleConnections() {
	if c, ok := v.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Forget spends a number whose request has ended.
func (n *Nonces) Forget(text string) {
	key := sha256.Sum256([]byte(text))
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.live, key)
}

// expire drops what is too old or already spent, from the oldest on.
func (n *Nonces) expire(now time.Time) {
	for len(n.order) > 0 {
		found, ok := n.live[n.order[0]]
		if ok && now.Before(found.until) {
			return
		}
		delete(n.live, n.order[0])
		n.order = n.order[1:]
	}
}

// requestHash joins method and URI; the method's length keeps them apart.
func requestHash(method, uri string) [sha256.Size]byte {
	return sha256.Sum256([]byte(strconv.Itoa(len(method)) + " " + method + " " + uri))
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
