package engine_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
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
	if err != nil || resp.StatusCode >= 400 && resp.StatusCode != http.StatusConflict {
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

// BenchmarkAdded asks the engine and the proxy in turn, so that what else the
// machine does falls on both, and reports the medians: what is added to each
// request, in microseconds, and a stream's MB/s both ways.
func BenchmarkAdded(b *testing.B) {
	h := open(b, anEngine(b), newMemory())
	direct, proxied := clientOf(h.socket), clientOf(h.socketOf("alpha"))
	defer direct.CloseIdleConnections()
	defer proxied.CloseIdleConnections()
	var made struct{ ID string }
	decode(b, ask(b, proxied, http.MethodPost, "/v1.41/containers/create?name=taken", create("", "")), &made)
	defer ask(b, proxied, http.MethodDelete, "/v1.41/containers/"+made.ID, "")
	one := "/v1.41/containers/" + made.ID
	runs := h.must(b, "alpha", "run", "-d", "busybox", "sleep", "600")
	defer h.must(b, "alpha", "rm", "-f", runs)
	wrote := h.must(b, "alpha", "run", "-d", "busybox", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=64")
	defer h.must(b, "alpha", "rm", "-f", wrote)
	h.must(b, "alpha", "wait", wrote)
	remove := func(c *http.Client, text string) {
		var made struct{ ID string }
		decode(b, text, &made)
		ask(b, c, http.MethodDelete, "/v1.41/containers/"+made.ID, "")
	}
	// stream starts a process whose output is all that there is to carry.
	stream := func(c *http.Client, text string) string {
		var made struct{ ID string }
		decode(b, text, &made)
		return ask(b, c, http.MethodPost, "/v1.41/exec/"+made.ID+"/start", `{"Detach":false,"Tty":false}`)
	}
	for _, tt := range []struct {
		name, method, uri, body string
		then                    func(*http.Client, string) string // counts as well
		after                   func(*http.Client, string)
	}{
		{"ping", http.MethodGet, "/_ping", "", nil, nil},
		{"inspect", http.MethodGet, one + "/json", "", nil, nil},
		{"list", http.MethodGet, "/v1.41/containers/json?all=1", "", nil, nil},
		{"create", http.MethodPost, "/v1.41/containers/create", create("", ""), nil, remove},
		// The same without an engine's work on disk, which takes now this long, now that.
		{"create-taken", http.MethodPost, "/v1.41/containers/create?name=taken", create("", ""), nil, nil},
		{"image", http.MethodGet, "/v1.41/images/busybox/json", "", nil, nil},
		{"export", http.MethodGet, one + "/export", "", nil, nil},
		{"export-large", http.MethodGet, "/v1.41/containers/" + wrote + "/export", "", nil, nil},
		{"exec", http.MethodPost, "/v1.41/containers/" + runs + "/exec", `{"Cmd":["dd","if=/dev/zero","bs=64k","count=1600"],"AttachStdout":true}`, stream, nil},
	} {
		b.Run(tt.name, func(b *testing.B) {
			var took [2][]time.Duration
			size := 0
			for b.Loop() {
				for i, c := range []*http.Client{direct, proxied} {
					began := time.Now()
					text := ask(b, c, tt.method, tt.uri, tt.body)
					if tt.then != nil {
						text = tt.then(c, text)
					}
					took[i] = append(took[i], time.Since(began))
					size = len(text)
					if tt.after != nil {
						tt.after(c, text)
					}
				}
			}
			for i := range took {
				slices.Sort(took[i])
			}
			was, is := took[0][len(took[0])/2], took[1][len(took[1])/2]
			b.ReportMetric(float64((is - was).Microseconds()), "added-µs")
			if size > 1<<20 {
				b.ReportMetric(float64(size)/1e6/was.Seconds(), "direct-MB/s")
				b.ReportMetric(float64(size)/1e6/is.Seconds(), "proxied-MB/s")
			}
		})
	}
}
