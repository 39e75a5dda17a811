// Package registry is the demo's and the benchmark's registry, on loopback. Its
// blobs are files of a folder that it serves as they are, without looking at
// them: whoever owns a registry can alter what it serves, and the demo does. It
// knows conditional requests on manifests (RFC 9110, section 13), as a registry
// must that lets several publishers update one tag.
package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Server is a running registry.
type Server struct {
	Address string // host:port
	server  *http.Server
}

// Start serves a registry, whose blobs lie in the folder dir, on a free port of
// loopback until Close.
func Start(ctx context.Context, dir string) (*Server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	s := &Server{Address: listener.Addr().String(), server: &http.Server{Handler: New(dir), ReadHeaderTimeout: 10 * time.Second}}
	go func() { _ = s.server.Serve(listener) }() // it ends with Close
	return s, nil
}

// Close ends the server.
func (s *Server) Close() error { return s.server.Close() }

// New returns the registry as a handler.
func New(dir string) http.Handler {
	inner := registry.New(registry.WithReferrersSupport(true), registry.WithBlobHandler(Folder(dir)), registry.Logger(log.New(io.Discard, "", 0)))
	return &conditional{next: inner}
}

// conditional answers manifests with an entity tag and makes If-Match and
// If-None-Match hold when one is put.
type conditional struct {
	next http.Handler
	mu   sync.Mutex // held while a manifest is compared and put
}

func (c *conditional) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "/manifests/") {
		c.next.ServeHTTP(w, r)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodPut || r.Method == http.MethodDelete {
		have := c.entityTag(r)
		match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
		if (match != "" && match != have && (match != "*" || have == "")) || (none == "*" && have != "") || (none != "" && none == have) {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
	}
	c.next.ServeHTTP(&tagging{ResponseWriter: w}, r)
}

// entityTag returns the tag of the manifest that r names, or nothing.
func (c *conditional) entityTag(r *http.Request) string {
	probe := httptest.NewRecorder()
	head := r.Clone(r.Context())
	head.Method, head.Body = http.MethodHead, http.NoBody
	c.next.ServeHTTP(probe, head)
	if probe.Code != http.StatusOK {
		return ""
	}
	return quoted(probe.Header())
}

func quoted(h http.Header) string { return `"` + h.Get("Docker-Content-Digest") + `"` }

// tagging adds the entity tag to what is answered.
type tagging struct{ http.ResponseWriter }

func (t *tagging) WriteHeader(code int) {
	if t.Header().Get("Docker-Content-Digest") != "" {
		t.Header().Set("ETag", quoted(t.Header()))
	}
	t.ResponseWriter.WriteHeader(code)
}

// Folder keeps blobs as files FOLDER/ALGORITHM/HEX. It checks a blob when it is
// put, never when it is served.
type Folder string

// Path returns where the blob h lies.
func (f Folder) Path(h v1.Hash) string { return filepath.Join(string(f), h.Algorithm, h.Hex) }

// Stat implements registry.BlobStatHandler.
func (f Folder) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	info, err := os.Stat(f.Path(h))
	if errors.Is(err, os.ErrNotExist) {
		return 0, registry.ErrNotFound
	} else if err != nil {
		return 0, fmt.Errorf("look at blob: %w", err)
	}
	return info.Size(), nil
}

// Get implements registry.BlobHandler.
func (f Folder) Get(_ context.Context, _ string, h v1.Hash) (io.ReadCloser, error) {
	file, err := os.Open(f.Path(h))
	if errors.Is(err, os.ErrNotExist) {
		return nil, registry.ErrNotFound
	} else if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return file, nil
}

// Put implements registry.BlobPutHandler.
func (f Folder) Put(_ context.Context, _ string, h v1.Hash, body io.ReadCloser) error {
	defer body.Close()
	dir := filepath.Dir(f.Path(h))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder of blobs: %w", err)
	}
	tmp, err := os.CreateTemp(dir, "put-")
	if err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	defer func() { _ = errors.Join(tmp.Close(), os.Remove(tmp.Name())) }() // gone after the rename
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(tmp, sum), body); err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != h.Hex {
		return fmt.Errorf("blob %s has digest %s", h, got)
	}
	return os.Rename(tmp.Name(), f.Path(h))
}
