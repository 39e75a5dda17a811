package engine_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// clientOf returns a client that keeps its connection, as the engine's own do.
func clientOf(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
}

func ask(b *testing.B, c *http.Client, method, uri, body string) string {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, "http://docker"+uri, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", jsonKind)
	}
	resp, err := c.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 400 {
		b.Fatalf("%s %s: %d %s %v", method, uri, resp.StatusCode, data, err)
	}
	return string(data)
}

// BenchmarkRequests compares what a request takes with and without the proxy.
func BenchmarkRequests(b *testing.B) {
	h := open(b, anEngine(b), newMemory())
	for _, way := range []struct{ name, socket string }{{"direct", h.socket}, {"proxied", h.socketOf("alpha")}} {
		c := clientOf(way.socket)
		b.Run("ping/"+way.name, func(b *testing.B) {
			for b.Loop() {
				ask(b, c, http.MethodGet, "/_ping", "")
			}
		})
		b.Run("create/"+way.name, func(b *testing.B) {
			for b.Loop() {
				var made struct{ ID string }
				decode(b, ask(b, c, http.MethodPost, "/v1.41/containers/create", create("", "")), &made)
				b.StopTimer()
				ask(b, c, http.MethodDelete, "/v1.41/containers/"+made.ID, "")
				b.StartTimer()
			}
		})
		b.Run("export/"+way.name, func(b *testing.B) {
			var made struct{ ID string }
			decode(b, ask(b, c, http.MethodPost, "/v1.41/containers/create", create("", "")), &made)
			for b.Loop() {
				b.SetBytes(int64(len(ask(b, c, http.MethodGet, "/v1.41/containers/"+made.ID+"/export", ""))))
			}
			ask(b, c, http.MethodDelete, "/v1.41/containers/"+made.ID, "")
		})
		c.CloseIdleConnections()
	}
}
