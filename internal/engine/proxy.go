package engine

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/verdict"
)

// TeamHeader names the team of a caller who is in several. A team's own socket
// says it without a header.
const TeamHeader = "X-Plimsoll-Team"

const (
	maxHeader      = 64 << 10 // bytes of a request's header
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	connectionsFor = 512 // of one user at one time

	// How much of a refused request's body is read, and for how long.
	maxDrained = 256 << 10
	drainTime  = time.Second / 2
)

// Config says what a proxy stands in front of.
type Config struct {
	Engine      string   // path of the engine's own socket
	Guard       Guard    // whom to ask
	Nonces      *Nonces  // shared with the plugin; its own if nil
	Protected   []string // paths of the host that nobody may mount, beside those that never may be
	Environment string   // of the host, for the audit log
	Runtime     string   // name by which the engine knows the sealing runtime; "": it is the engine's default
	Log         *slog.Logger
	Now         func() time.Time
}

// Proxy serves Docker's API to members of teams. It is safe for concurrent use.
type Proxy struct {
	Config
	routes    []route
	transport *http.Transport
	peers     peers
	networks  teamNetworks
}

// New returns a proxy in front of the engine.
func New(c Config) (*Proxy, error) {
	if c.Engine == "" || c.Guard == nil {
		return nil, fault.Errorf(fault.Internal, "a proxy needs an engine's socket and a guard")
	}
	if c.Nonces == nil {
		c.Nonces = NewNonces()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Proxy{Config: c, routes: table()}
	p.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return p.dial(ctx)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     idleTimeout,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
	return p, nil
}

func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", p.Engine)
}

// Serve answers on the listener until the context ends, which ends every
// connection. A team that is not "" is what a team's own socket names. Callers
// are known by the credentials of a unix socket: on any other listener all are
// refused.
func (p *Proxy) Serve(ctx context.Context, l net.Listener, team string) error {
	return p.serve(ctx, l, team, nil)
}

// ServeTLS does the same over TLS. Callers are known by the subject of a
// certificate that the configuration's ClientCAs signed; it must hold a
// certificate of the server as well.
func (p *Proxy) ServeTLS(ctx context.Context, l net.Listener, team string, c *tls.Config) error {
	if c == nil || c.ClientCAs == nil {
		return fault.Errorf(fault.Internal, "TLS without an authority for clients")
	}
	c = c.Clone()
	c.ClientAuth, c.MinVersion, c.NextProtos = tls.RequireAndVerifyClientCert, max(c.MinVersion, tls.VersionTLS12), []string{"http/1.1"}
	return p.serve(ctx, l, team, c)
}

func (p *Proxy) serve(ctx context.Context, l net.Listener, team string, c *tls.Config) error {
	server := &http.Server{
		Handler:           p.handler(team),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withConn,
		TLSConfig:         c,
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only
	}
	stop := context.AfterFunc(ctx, func() {
		if err := server.Close(); err != nil {
			p.Log.Debug("close", slog.Any("err", err))
		}
	})
	defer stop()
	defer p.transport.CloseIdleConnections()
	counted := &listener{Listener: l, peers: &p.peers}
	var err error
	if c == nil {
		err = server.Serve(counted)
	} else {
		err = server.ServeTLS(counted, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fault.As(fault.Unavailable, err)
}

// handler answers one request at a time.
func (p *Proxy) handler(team string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{p: p, w: w, r: r}
		q.caller, q.err = callerOf(r)
		q.caller.Team = team
		err := q.err
		if err == nil {
			err = q.serve()
		}
		if err != nil {
			q.refuse(err) //nolint:contextcheck // a request bears its context
		}
	})
}

// request is one request on its way through.
type request struct {
	p      *Proxy
	w      http.ResponseWriter
	r      *http.Request
	caller Caller
	team   string
	target target
	route  *route
	match  // what the path names
	query  query
	err    error

	profile *profile.Profile // the team's, once the caller was admitted

	answered bool // the response has begun: an error can only end it
	tells    bool // the guard has recorded the denial already
}

func (q *request) ctx() context.Context { return q.r.Context() }

// serve judges the request line, finds the team, and hands over to the route.
func (q *request) serve() error {
	r := q.r
	if r.ProtoMajor != 1 || r.Header.Get("Expect") != "" || len(r.Trailer) > 0 {
		return fault.Errorf(fault.Denied, "requests are plain HTTP/1.1, without expectations and trailers")
	}
	var err error
	if q.target, err = parseTarget(r.RequestURI); err != nil {
		return err
	}
	if q.route, q.match, err = q.p.find(r.Method, q.target.segments); err != nil {
		return err
	}
	if q.query.Values, err = q.route.query.parse(q.target.query); err != nil {
		return err
	}
	if !q.route.upgrades && (r.Header.Get("Upgrade") != "" || hasToken(r.Header, "Connection", "upgrade")) {
		return fault.Errorf(fault.Denied, "%s %s is not upgraded", r.Method, q.target.path())
	}
	if !q.route.body {
		if err := noBody(r); err != nil {
			return err
		}
	}
	if !q.route.open {
		if err := q.findTeam(); err != nil {
			return err
		}
	}
	return q.route.do(q)
}

// findTeam says for which team the caller acts: the one that socket or header
// name, or the only one the caller has.
func (q *request) findTeam() error {
	named := q.caller.Team
	if h := q.r.Header.Values(TeamHeader); len(h) > 1 || len(h) == 1 && named != "" && h[0] != named {
		return fault.Errorf(fault.Denied, "the request names more than one team")
	} else if len(h) == 1 {
		named = h[0]
	}
	teams := q.p.Guard.Teams(q.caller)
	switch {
	case named != "" && slices.Contains(teams, named):
		q.team = named
	case named != "":
		return fault.Errorf(fault.Denied, "%s is not in team %q", q.caller.Name(), named)
	case len(teams) == 1:
		q.team = teams[0]
	case len(teams) == 0:
		return fault.Errorf(fault.Denied, "%s is in no team", q.caller.Name())
	default:
		err := fault.Errorf(fault.Denied, "%s is in several teams (%s)", q.caller.Name(), strings.Join(teams, ", "))
		return fault.Hint(err, "docker -H unix:///run/plimsoll/teams/%s/docker.sock …", teams[0])
	}
	q.caller.Team = q.team
	return nil
}

// record writes what was decided into the audit log.
func (q *request) record(outcome verdict.Outcome, rule, message string) error {
	d := &verdict.Decision{
		ID: rand.Text(), Time: q.p.Now().UTC(), Door: Door, Environment: q.p.Environment,
		Team: q.team, Caller: q.caller.Name(), Outcome: outcome,
		Reasons: []verdict.Reason{{Rule: rule, Outcome: outcome, Message: message}},
	}
	if outcome == verdict.Denied {
		d.Reasons[0].Class = verdict.Rule
	}
	return q.p.Guard.Record(context.WithoutCancel(q.ctx()), d)
}

// allow records that something was let through. What cannot be recorded does not
// happen.
func (q *request) allow(rule, format string, args ...any) error {
	err := q.record(verdict.Allowed, rule, sprintf(format, args...))
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	return nil
}

// refuse answers with the error, and records it if it is a denial.
func (q *request) refuse(err error) {
	if fault.Is(err, fault.Denied) && !q.tells {
		if err := q.record(verdict.Denied, "engine", q.r.Method+" "+clip(q.r.RequestURI)+": "+err.Error()); err != nil {
			q.p.Log.Error("record a denial", slog.Any("err", err))
		}
	}
	if q.answered {
		q.p.Log.Info("request ended", slog.String("method", q.r.Method), slog.String("path", q.target.path()), slog.Any("err", err))
		panic(http.ErrAbortHandler)
	}
	status, message := told(err)
	if status >= http.StatusInternalServerError {
		q.p.Log.Error("request failed", slog.String("method", q.r.Method), slog.String("path", q.target.path()), slog.Any("err", err))
	}
	if q.r.ContentLength != 0 {
		q.w.Header().Set("Connection", "close")
		q.drain()
	}
	writeError(q.w, status, message)
}

// drain reads what is left of a small body: a client that is still sending when
// the answer comes reports a broken pipe beside it. Of a larger or a slower one
// the rest is never read, since the connection ends with the answer.
func (q *request) drain() {
	if q.r.Header.Get("Expect") != "" {
		return // it has not been asked to send
	}
	if err := http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(drainTime)); err != nil {
		return
	}
	_, err := io.CopyN(io.Discard, q.r.Body, maxDrained)
	if err != nil && !errors.Is(err, io.EOF) {
		q.p.Log.Debug("a refused body", slog.Any("err", err))
	}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
