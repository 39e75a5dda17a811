package httpstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/trust/httpstore"
)

func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func files(t testing.TB, cfg httpstore.Config) *httpstore.Files {
	t.Helper()
	f, err := httpstore.NewFiles(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBase(t *testing.T) {
	tests := map[string]bool{
		"https://example.com/tuf":       true,
		"https://example.com":           true,
		"http://127.0.0.1:80/tuf/":      true,
		"http://[::1]/tuf":              true,
		"http://localhost/tuf":          true,
		"http://example.com/tuf":        false,
		"http://localhost.example.com/": false,
		"http://127.0.0.1.example.com/": false,
		"https://alice:s@example.com/":  false,
		"https://example.com/?a=b":      false,
		"https://example.com/#a":        false,
		"https:///tuf":                  false,
		"file:///etc":                   false,
		"example.com":                   false,
		"":                              false,
		"%zz":                           false,
	}
	for base, want := range tests {
		_, err := httpstore.NewFiles(httpstore.Config{Base: base})
		if (err == nil) != want || (err != nil && !fault.Is(err, fault.Usage)) {
			t.Errorf("%q: %v", base, err)
		}
	}
	if _, err := httpstore.NewFiles(httpstore.Config{Base: "http://example.com", Insecure: true}); err != nil {
		t.Errorf("told to take http: %v", err)
	}
}

func TestRead(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/tuf/timestamp.json":
			fmt.Fprint(w, "0123456789")
		case "/tuf/1.%2Fa.json":
			fmt.Fprint(w, "slash")
		case "/tuf/gone.json":
			w.WriteHeader(http.StatusGone)
		case "/tuf/403.json", "/tuf/3.root.json":
			w.WriteHeader(http.StatusForbidden)
		case "/tuf/500.json":
			w.WriteHeader(http.StatusInternalServerError)
		case "/tuf/204.json":
			w.WriteHeader(http.StatusNoContent)
		case "/tuf/unannounced.json": // chunked: no length
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<16))
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<16))
		case "/tuf/cut.json":
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "half")
		case "/tuf/zipped.json":
			if r.Header.Get("Accept-Encoding") != "" {
				w.Header().Set("Content-Encoding", "gzip")
			}
			fmt.Fprint(w, "as it is")
		default:
			http.NotFound(w, r)
		}
	})
	f := files(t, httpstore.Config{Base: base + "/tuf/"})
	ok := fault.Kind(255)
	tests := []struct {
		name  string
		limit int64
		want  string
		kind  fault.Kind
	}{
		{"timestamp.json", 10, "0123456789", ok},
		{"timestamp.json", 9, "longer than 9 bytes", fault.Untrusted},
		{"1.%2Fa.json", 10, "slash", ok},
		{"2.root.json", 10, `no file "2.root.json"`, fault.NotFound},
		{"gone.json", 10, "no file", fault.NotFound},
		{"3.root.json", 10, "no file", fault.NotFound}, // as object stores answer that nobody may list
		{"403.json", 10, "answers 403", fault.Unavailable},
		{"500.json", 10, "answers 500", fault.Unavailable},
		{"204.json", 10, "answers 204", fault.Unavailable},
		{"unannounced.json", 1 << 16, "longer than", fault.Untrusted},
		{"cut.json", 10, "unexpected EOF", fault.Unavailable},
		{"zipped.json", 10, "as it is", ok},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := f.Read(t.Context(), tt.name, tt.limit)
			if tt.kind == ok {
				if err != nil || string(b) != tt.want {
					t.Errorf("%q, %v", b, err)
				}
			} else if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v (%v), want %v with %q", err, fault.KindOf(err), tt.kind, tt.want)
			}
		})
	}
}

// TestBaseIsKept: what is escaped in the base URL stays as it is.
func TestBaseIsKept(t *testing.T) {
	const path = "/a%2Fb%5Bc%3F%5D/metadata"
	base := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.EscapedPath()) })
	b, err := files(t, httpstore.Config{Base: base + path + "/"}).Read(t.Context(), "1.%3F.json", 100)
	if want := path + "/1.%3F.json"; err != nil || string(b) != want {
		t.Errorf("%q, %v, want %q", b, err, want)
	}
}

// TestRedirects: a server moves a file on the same host; it cannot send us to
// another one, or in circles.
func TestRedirects(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "of another host") })
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved.json":
			http.Redirect(w, r, "/here.json", http.StatusFound)
		case "/here.json":
			fmt.Fprint(w, "here")
		case "/away.json":
			http.Redirect(w, r, elsewhere+"/here.json", http.StatusFound)
		default:
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}
	})
	f := files(t, httpstore.Config{Base: base})
	if b, err := f.Read(t.Context(), "moved.json", 10); err != nil || string(b) != "here" {
		t.Errorf("%q, %v", b, err)
	}
	for name, words := range map[string]string{"away.json": "another host", "circle.json": "more than 3 times"} {
		if b, err := f.Read(t.Context(), name, 100); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// TestSlowRetrieval: a server that does not answer, or a byte at a time, is given
// up; how long that takes hangs on the length that was allowed.
func TestSlowRetrieval(t *testing.T) {
	stop := make(chan struct{})
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/drip.json" {
			if _, err := io.WriteString(w, "x"); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-stop:
				return
			case <-r.Context().Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	})
	defer close(stop)
	f := files(t, httpstore.Config{Base: base, Timeout: 50 * time.Millisecond})
	for _, name := range []string{"silent.json", "drip.json"} {
		if _, err := f.Read(t.Context(), name, 1<<10); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Read(ctx, "silent.json", 10); !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestErrorsDoNotRepeatTheAddress(t *testing.T) {
	f := files(t, httpstore.Config{Base: "http://127.0.0.1:1/secret"})
	if _, err := f.Read(t.Context(), "timestamp.json", 10); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// TestHugeLength: a length that somebody made up is no time that has passed
// already, nor one without end.
func TestHugeLength(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "content") })
	f := files(t, httpstore.Config{Base: base})
	for _, limit := range []int64{1 << 53, math.MaxInt64, 1 << 47} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		body, err := f.Open(ctx, "file", limit)
		cancel()
		if err != nil {
			t.Errorf("%d bytes: %v", limit, err)
			continue
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}
