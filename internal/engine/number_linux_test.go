package engine_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/engine"
)

// TestEveryRequestBearsANumber stands between proxy and engine and redeems the
// number of each request, as the plugin does.
func TestEveryRequestBearsANumber(t *testing.T) {
	d := anEngine(t)
	nonces := engine.NewNonces()
	between := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "docker"})
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", d.socket)
		}},
		FlushInterval: -1,
	}
	seen := make(chan string, 1000)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := r.Header.Get(engine.NonceHeader)
		if !nonces.Redeem(number, r.Method, r.RequestURI) || number == "mine" {
			t.Errorf("%s %s bears the number %q, which is none", r.Method, r.RequestURI, number)
		}
		if nonces.Redeem(number, r.Method, r.RequestURI) {
			t.Error("a number was taken twice")
		}
		seen <- r.Method + " " + r.URL.Path
		between.ServeHTTP(w, r)
	})}
	socket := filepath.Join(d.dir, "between.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	guard := newMemory()
	p, err := engine.New(engine.Config{Engine: socket, Guard: guard, Nonces: nonces})
	if err != nil {
		t.Fatal(err)
	}
	h := &harbour{dockerd: d, guard: guard, dir: t.TempDir()}
	front, err := net.Listen("unix", h.socketOf("alpha"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, front, "alpha") }()
	if out := h.must(t, "alpha", "run", "--name", "numbered", "busybox", "echo", "hello"); out != "hello" {
		t.Errorf("through both: %q", out)
	}
	h.must(t, "alpha", "rm", "numbered")
	c, err := net.Dial("unix", h.socketOf("alpha"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h.raw(t, c, "GET /v1.41/info HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"+engine.NonceHeader+": mine\r\n\r\n")
	stop()
	<-done
	close(seen)
	var all []string
	for s := range seen {
		all = append(all, s)
	}
	if !strings.Contains(strings.Join(all, "\n"), "/attach") {
		t.Errorf("requests seen: %q", all)
	}
}
