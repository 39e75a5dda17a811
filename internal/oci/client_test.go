package oci_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// serve starts a registry on loopback and returns a client for it and its
// repository team/app.
func serve(t testing.TB, h http.Handler) (*oci.Client, ref.Reference) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	client := oci.New(oci.Config{PlainHTTP: true, Response: 500 * time.Millisecond, Stall: 300 * time.Millisecond, Tries: 3, MaxWait: 2 * time.Second})
	return client, ref.Reference{Host: strings.TrimPrefix(server.URL, "http://"), Path: "team/app", Tag: "1"}
}

func realRegistry(opts ...registry.Option) http.Handler {
	return registry.New(append(opts, registry.Logger(log.New(io.Discard, "", 0)))...)
}

func describe(mediaType string, b []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

func opened(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// manifestOf returns a manifest whose config is that blob.
func manifestOf(t testing.TB, config []byte, subject *v1.Descriptor) []byte {
	t.Helper()
	b, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: describe("application/vnd.example.test", config), Layers: []v1.Descriptor{}, Subject: subject,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPushAndPull(t *testing.T) {
	client, r := serve(t, realRegistry(registry.WithReferrersSupport(true)))
	config := []byte("{}")
	d := describe(v1.MediaTypeEmptyJSON, config)
	for range 2 { // the second finds it there
		if err := client.PushBlob(t.Context(), r.GUN(), d, opened(config)); err != nil {
			t.Fatal(err)
		}
	}
	manifest := manifestOf(t, config, nil)
	pushed, err := client.PushManifest(t.Context(), r, v1.MediaTypeImageManifest, manifest, oci.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []ref.Reference{r, r.WithDigest(pushed.Digest)} {
		m, err := client.Manifest(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pushed, m.Descriptor); diff != "" || !bytes.Equal(m.Bytes, manifest) {
			t.Errorf("pulled %q (-want +got):\n%s", m.Bytes, diff)
		}
	}
	head, err := client.Head(t.Context(), r)
	if err != nil || head.Digest != pushed.Digest || head.Size != pushed.Size {
		t.Errorf("head %+v, %v", head, err)
	}
	blob, err := client.Blob(t.Context(), r.GUN(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blob.Close() }()
	if b, err := io.ReadAll(blob); err != nil || !bytes.Equal(b, config) {
		t.Errorf("blob %q, %v", b, err)
	}
	if tags, err := client.Tags(t.Context(), r.GUN()); err != nil || !cmp.Equal(tags, []string{"1"}) {
		t.Errorf("tags %q, %v", tags, err)
	}
	if err := client.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Manifest(t.Context(), r); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), r.String()) {
		t.Errorf("after deletion: %v, want not found with the name", err)
	}
}

func TestReferrers(t *testing.T) {
	for _, api := range []bool{true, false} {
		t.Run(fmt.Sprintf("api=%v", api), func(t *testing.T) {
			client, r := serve(t, realRegistry(registry.WithReferrersSupport(api)))
			config := []byte("{}")
			if err := client.PushBlob(t.Context(), r.GUN(), describe(v1.MediaTypeEmptyJSON, config), opened(config)); err != nil {
				t.Fatal(err)
			}
			subject := digest.FromString("subject")
			if got, err := client.Referrers(t.Context(), r.WithDigest(subject), ""); err != nil || len(got) != 0 {
				t.Errorf("before: %v, %v", got, err)
			}
			b := manifestOf(t, config, &v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: subject, Size: 7})
			var pushed v1.Descriptor
			for range 2 {
				var err error
				if pushed, err = client.PushManifest(t.Context(), r.WithDigest(digest.FromBytes(b)), v1.MediaTypeImageManifest, b, oci.Condition{}); err != nil {
					t.Fatal(err)
				}
			}
			for artifactType, want := range map[string]int{"": 1, "application/vnd.example.test": 1, "application/vnd.other": 0} {
				got, err := client.Referrers(t.Context(), r.WithDigest(subject), artifactType)
				if err != nil || len(got) != want || (want == 1 && got[0].Digest != pushed.Digest) {
					t.Errorf("%q: %v, %v; want %d", artifactType, got, err, want)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	good := manifestOf(t, []byte("{}"), nil)
	index := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	answer := func(contentType string, b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(b)
		}
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"errors":[{"code":"X","message":"why \u001b[31m`+strings.Repeat("y", 1000)+`"}]}`)
		}
	}
	wrong := digest.FromString("another")
	tests := []struct {
		name    string
		handler http.HandlerFunc
		digest  ref.Digest
		kind    fault.Kind
		want    []string
		hint    string
	}{
		{"401 basic", status(401, "WWW-Authenticate", `Basic realm="x"`), "", fault.Unavailable, []string{"401", "credentials"}, "docker login 127.0.0.1"},
		{"401 without a challenge", status(401), "", fault.Unavailable, []string{"401", `X why \x1b[31m`}, "docker login 127.0.0.1"},
		{"403", status(403), "", fault.Unavailable, []string{"403", "team/app:1"}, "docker login"},
		{"404", status(404), "", fault.NotFound, []string{"team/app:1"}, ""},
		{"500", status(500), "", fault.Unavailable, []string{"500", "GET"}, ""},
		{"429 for too long", status(429, "Retry-After", "3600"), "", fault.Unavailable, []string{"429", `after "3600"`}, ""},
		{"503 for good", status(503, "Retry-After", "0"), "", fault.Unavailable, []string{"503"}, ""},
		{"wrong digest", answer(v1.MediaTypeImageManifest, good), wrong, fault.Untrusted, []string{string(digest.FromBytes(good))}, ""},
		{"wrong media type", answer(v1.MediaTypeImageIndex, good), "", fault.Invalid, []string{v1.MediaTypeImageIndex, v1.MediaTypeImageManifest}, ""},
		{"index called manifest", answer(v1.MediaTypeImageManifest, index), "", fault.Invalid, []string{"media type"}, ""},
		{"unknown media type", answer("text/html", []byte("{}")), "", fault.Invalid, []string{"text/html"}, ""},
		{"not JSON", answer(v1.MediaTypeImageManifest, []byte("<html>")), "", fault.Invalid, []string{"parse manifest"}, ""},
		{"too large", answer(v1.MediaTypeImageManifest, make([]byte, oci.MaxManifest+1)), "", fault.Invalid, []string{"more than"}, ""},
		{"redirect to plain HTTP elsewhere", status(307, "Location", "http://registry.example.com/"), "", fault.Unavailable, []string{"not HTTPS"}, ""},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, "", fault.Unavailable, []string{"redirects"}, ""},
		{"cut stream", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, "", fault.Untrusted, []string{"cut short"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, r := serve(t, tt.handler)
			t.Setenv("DOCKER_CONFIG", t.TempDir())
			if tt.digest != "" {
				r = r.WithDigest(tt.digest)
			}
			_, err := client.Manifest(t.Context(), r)
			if !fault.Is(err, tt.kind) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Fatalf("error %v (%v, hint %q), want %v", err, fault.KindOf(err), fault.HintOf(err), tt.kind)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v lacks %q", err, want)
				}
			}
			if len(err.Error()) > 1000 || strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("error is not fit to print: %q", err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	var tries atomic.Int32
	real := realRegistry()
	client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPut && tries.Add(1) < 3 {
			_, _ = io.Copy(io.Discard, req.Body)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader([]int{429, 503}[tries.Load()-1])
			return
		}
		real.ServeHTTP(w, req)
	}))
	start := time.Now()
	blob := []byte("content")
	if err := client.PushBlob(t.Context(), r.GUN(), describe("application/octet-stream", blob), opened(blob)); err != nil {
		t.Fatal(err)
	}
	if got := time.Since(start); tries.Load() != 3 || got < 2*time.Second {
		t.Errorf("%d tries in %v, want 3 in two seconds", tries.Load(), got)
	}
}

func TestRetryEndsWithTheContext(t *testing.T) {
	client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := client.Manifest(ctx, r); !errors.Is(err, context.DeadlineExceeded) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("error %v, want the context's", err)
	}
	if time.Since(start) > time.Second {
		t.Error("it waited on")
	}
}

// TestSilence meets registries that take a request and say nothing, or stop in
// the middle, or take no bytes.
func TestSilence(t *testing.T) {
	hang := func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-time.After(2 * time.Second): // a server does not see that a client left whose body it has not read
		case <-req.Context().Done():
		}
	}
	t.Run("no answer", func(t *testing.T) {
		client, r := serve(t, http.HandlerFunc(hang))
		_, err := client.Manifest(t.Context(), r)
		wantSilent(t, err, r.Host, "GET", "/v2/team/app/manifests/1")
	})
	t.Run("a body that stalls", func(t *testing.T) {
		client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.WriteString(w, "some")
			_ = http.NewResponseController(w).Flush()
			hang(w, req)
		}))
		blob, err := client.Blob(t.Context(), r.GUN(), describe("x/y", []byte("something")))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = blob.Close() }()
		_, err = io.ReadAll(blob)
		wantSilent(t, err, r.Host, "GET", "/blobs/sha256:")
	})
	t.Run("a slow reader is not a slow registry", func(t *testing.T) {
		content := bytes.Repeat([]byte("x"), 1<<20)
		client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
		blob, err := client.Blob(t.Context(), r.GUN(), describe("x/y", content))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = blob.Close() }()
		time.Sleep(600 * time.Millisecond)
		if _, err := io.Copy(io.Discard, blob); err != nil {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an upload that nobody takes", func(t *testing.T) {
		client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch req.Method {
			case http.MethodHead:
				w.WriteHeader(http.StatusNotFound)
			case http.MethodPost:
				w.Header().Set("Location", "/v2/team/app/blobs/uploads/1")
				w.WriteHeader(http.StatusAccepted)
			default:
				hang(w, req)
			}
		}))
		content := make([]byte, 32<<20)
		err := client.PushBlob(t.Context(), r.GUN(), describe("x/y", content), opened(content))
		wantSilent(t, err, r.Host, "PUT")
	})
}

func wantSilent(t *testing.T, err error, texts ...string) {
	t.Helper()
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("error %v, want unavailable", err)
	}
	for _, text := range append(texts, "no answer for") {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %v lacks %q", err, text)
		}
	}
}

func TestPushedBytesMustBeThoseNamed(t *testing.T) {
	client, r := serve(t, realRegistry())
	for name, content := range map[string]string{"changed": "contenX", "shorter": "conten", "longer": "content!"} {
		err := client.PushBlob(t.Context(), r.GUN(), describe("x/y", []byte("content")), opened([]byte(content)))
		if !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: error %v, want untrusted", name, err)
		}
	}
	if _, err := client.Blob(t.Context(), r.GUN(), describe("x/y", []byte("content"))); !fault.Is(err, fault.NotFound) {
		t.Errorf("a wrong blob was stored: %v", err)
	}
}

func TestConditions(t *testing.T) {
	var match, noneMatch string
	client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		match, noneMatch = req.Header.Get("If-Match"), req.Header.Get("If-None-Match")
		w.WriteHeader(http.StatusPreconditionFailed)
	}))
	for _, cond := range []oci.Condition{{IfMatch: `"etag"`}, {IfNoneMatch: true}} {
		_, err := client.PushManifest(t.Context(), r, v1.MediaTypeImageManifest, manifestOf(t, []byte("{}"), nil), cond)
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("%+v: error %v, want a conflict", cond, err)
		}
		if (match == `"etag"`) == cond.IfNoneMatch || (noneMatch == "*") != cond.IfNoneMatch {
			t.Errorf("%+v: sent If-Match %q, If-None-Match %q", cond, match, noneMatch)
		}
	}
}

// TestCredentials logs in with a token service, and checks that a redirect to
// another origin gets neither password nor token.
func TestCredentials(t *testing.T) {
	var leaked atomic.Value
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		leaked.Store(req.Header.Get("Authorization"))
		_, _ = io.WriteString(w, "content")
	}))
	t.Cleanup(elsewhere.Close)
	var host string
	client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		switch {
		case req.URL.Path == "/token" && user == "alice" && password == "secret":
			_, _ = io.WriteString(w, `{"token":"the-token"}`)
		case req.Header.Get("Authorization") == "Bearer the-token":
			http.Redirect(w, req, elsewhere.URL+"/blob?signature=secret", http.StatusTemporaryRedirect)
		default:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x",scope="repository:team/app:pull"`, host))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	host = r.Host
	dir := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte("alice:secret")))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	blob, err := client.Blob(t.Context(), r.GUN(), describe("x/y", []byte("content")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blob.Close() }()
	if b, err := io.ReadAll(blob); err != nil || string(b) != "content" {
		t.Errorf("blob %q, %v", b, err)
	}
	if got := leaked.Load(); got != "" {
		t.Errorf("the other host got %q", got)
	}
}

// TestPlainHTTPIsForLoopbackOnly sees what is asked of the transport.
func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	tests := []struct {
		host  string
		plain bool
		want  string
	}{
		{"localhost:5000", true, "http"},
		{"127.0.0.2", true, "http"},
		{"[::1]:5000", true, "http"},
		{"localhost:5000", false, "https"},
		{"registry.example.com", true, "https"},
		{"127.0.0.1.example.com", true, "https"},
		{"10.0.0.1:5000", true, "https"},
	}
	for _, tt := range tests {
		var got string
		client := oci.New(oci.Config{PlainHTTP: tt.plain, Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			got = req.URL.Scheme
			return nil, errors.New("not sent")
		})})
		if _, err := client.Manifest(t.Context(), ref.Reference{Host: tt.host, Path: "app", Tag: "1"}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: error %v", tt.host, err)
		}
		if got != tt.want {
			t.Errorf("%s with plain HTTP %v: %s, want %s", tt.host, tt.plain, got, tt.want)
		}
	}
}

// TestNoTLS names the setting that a registry without TLS on this machine needs.
func TestNoTLS(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	r := ref.Reference{Host: server.Listener.Addr().String(), Path: "app", Tag: "1"}
	_, err := oci.New(oci.Config{}).Manifest(t.Context(), r)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "does not speak TLS") || !strings.Contains(fault.HintOf(err), "--plain-http") {
		t.Errorf("error %v, hint %q", err, fault.HintOf(err))
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestPages(t *testing.T) {
	link := ""
	client, r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("last") == "b" {
			_, _ = io.WriteString(w, `{"tags":["c"]}`)
			return
		}
		w.Header().Set("Link", link)
		_, _ = io.WriteString(w, `{"tags":["a","b"]}`)
	}))
	link = `</v2/team/app/tags/list?last=b>; rel="next"`
	if tags, err := client.Tags(t.Context(), r.GUN()); err != nil || !cmp.Equal(tags, []string{"a", "b", "c"}) {
		t.Errorf("tags %q, %v", tags, err)
	}
	for _, link = range []string{`<https://registry.example.com/v2/>; rel="next"`, `</v2/team/app/tags/list>; rel="next"`} {
		if _, err := client.Tags(t.Context(), r.GUN()); !fault.Is(err, fault.Invalid) {
			t.Errorf("link %q: error %v, want invalid", link, err)
		}
	}
}
