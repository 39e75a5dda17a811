package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"plimsoll/internal/tools/registry"
)

func start(t *testing.T) (*registry.Server, registry.Folder) {
	t.Helper()
	dir := t.TempDir()
	s, err := registry.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, registry.Folder(dir)
}

// TestServesWhatLiesThere alters a blob on disk: the registry serves it.
func TestServesWhatLiesThere(t *testing.T) {
	s, folder := start(t)
	img, err := random.Image(512, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(s.Address + "/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	altered := []byte("altered")
	if err := os.WriteFile(folder.Path(digest), altered, 0o600); err != nil {
		t.Fatal(err)
	}
	_, body := do(t, http.MethodGet, s, "blobs/"+digest.String(), nil)
	if !bytes.Equal(body, altered) {
		t.Errorf("got %q", body)
	}
	if status, _ := do(t, http.MethodGet, s, "blobs/sha256:"+fmt.Sprintf("%064x", 1), nil); status.StatusCode != http.StatusNotFound {
		t.Errorf("a blob that is not there: %s", status.Status)
	}
}

func TestConditions(t *testing.T) {
	s, _ := start(t)
	first, second := []byte(`{"schemaVersion":2,"config":{},"layers":[]}`), []byte(`{"schemaVersion":2,"config":{},"layers":[],"x":1}`)
	steps := []struct {
		name   string
		header string
		value  func(tag string) string
		body   []byte
		want   int
	}{
		{"match of nothing", "If-Match", func(string) string { return "*" }, first, http.StatusPreconditionFailed},
		{"none yet", "If-None-Match", func(string) string { return "*" }, first, http.StatusCreated},
		{"one already", "If-None-Match", func(string) string { return "*" }, second, http.StatusPreconditionFailed},
		{"another", "If-Match", func(string) string { return `"sha256:00"` }, second, http.StatusPreconditionFailed},
		{"the one", "If-Match", func(tag string) string { return tag }, second, http.StatusCreated},
		{"no condition", "X-None", func(string) string { return "" }, first, http.StatusCreated},
	}
	for _, step := range steps {
		head, _ := do(t, http.MethodHead, s, "manifests/1", nil)
		header := http.Header{"Content-Type": {"application/vnd.oci.image.manifest.v1+json"}, step.header: {step.value(head.Header.Get("ETag"))}}
		got, body := do(t, http.MethodPut, s, "manifests/1", step.body, header)
		if got.StatusCode != step.want {
			t.Errorf("%s: %s, want %d: %s", step.name, got.Status, step.want, body)
		}
	}
}

func do(t *testing.T, method string, s *registry.Server, what string, body []byte, header ...http.Header) (*http.Response, []byte) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.Address+"/v2/a/b/"+what, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		r.Header = h
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}
