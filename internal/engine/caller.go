package engine

import (
	"context"
	"net"
	"net/http"
	"os/user"
	"strings"
	"sync"

	"plimsoll/internal/fault"
)

// noUser is the user ID of callers who have none.
const noUser = ^uint32(0)

// conn is a client's connection with who is at its other end.
type conn struct {
	net.Conn
	uid   uint32 // noUser unless a unix socket
	unix  bool
	close func()
	once  sync.Once
}

// Close ends the connection and gives its place back.
func (c *conn) Close() error {
	c.once.Do(c.close)
	return c.Conn.Close()
}

// CloseWrite says that nothing more will be sent.
func (c *conn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// listener counts connections by who made them.
type listener struct {
	net.Listener
	peers *peers
}

// Accept returns the next connection. Those of a user who has too many are
// closed at once.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		accepted := &conn{Conn: c, uid: noUser}
		key := c.RemoteAddr().Network()
		if u, ok := c.(*net.UnixConn); ok {
			if accepted.uid, err = peerOf(u); err != nil {
				_ = c.Close()
				continue
			}
			accepted.unix = true
			key = "uid:" + decimal(accepted.uid)
		} else if host, _, err := net.SplitHostPort(c.RemoteAddr().String()); err == nil {
			key = host
		}
		if !l.peers.enter(key) {
			_ = c.Close()
			continue
		}
		accepted.close = func() { l.peers.leave(key) }
		return accepted, nil
	}
}

// peers counts connections.
type peers struct {
	mu sync.Mutex
	n  map[string]int
}

func (p *peers) enter(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == nil {
		p.n = map[string]int{}
	}
	if p.n[key] >= connectionsFor {
		return false
	}
	p.n[key]++
	return true
}

func (p *peers) leave(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n[key]--; p.n[key] <= 0 {
		delete(p.n, key)
	}
}

type (
	connKey    struct{}
	servingKey struct{}
)

// withConn keeps a connection, and the context in which it is served, for the
// requests that come over it.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(context.WithValue(ctx, connKey{}, c), servingKey{}, ctx)
}

// serving returns the context in which the connection of a request's context is
// served.
func serving(ctx context.Context) context.Context {
	if base, ok := ctx.Value(servingKey{}).(context.Context); ok {
		return base
	}
	return ctx
}

// callerOf returns who sent the request: the peer of the unix socket, or the
// subject of the certificate that TLS verified.
func callerOf(r *http.Request) (Caller, error) {
	if r.TLS != nil {
		if len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
			return Caller{UID: noUser}, fault.Errorf(fault.Denied, "no client certificate was verified")
		}
		return Caller{UID: noUser, Certificate: r.TLS.PeerCertificates[0].Subject.String()}, nil
	}
	c, ok := r.Context().Value(connKey{}).(*conn)
	if !ok || !c.unix {
		return Caller{UID: noUser}, fault.Errorf(fault.Denied, "nobody knows who is at the other end")
	}
	caller := Caller{UID: c.uid, Root: c.uid == 0}
	if u, err := user.LookupId(decimal(c.uid)); err == nil {
		caller.User = u.Username
	}
	return caller, nil
}

// hasToken reports whether a header's list has the token, whatever its case.
func hasToken(h http.Header, name, token string) bool {
	for _, v := range h.Values(name) {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
