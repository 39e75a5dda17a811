package ocistore

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// server is a registry; with conditions it honours If-Match and If-None-Match
// on manifests, which the one it wraps does not.
type server struct {
	next       http.Handler
	conditions bool
	mu         sync.Mutex
	tags       map[string]digest.Digest
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "/manifests/") {
		s.next.ServeHTTP(w, r)
		return
	}
	if !s.conditions {
		s.next.ServeHTTP(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	have, there := s.tags[r.URL.Path]
	if r.Method == http.MethodPut {
		match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
		if (match != "" && match != `"`+string(have)+`"`) || (none == "*" && there) {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		s.tags[r.URL.Path] = digest.FromBytes(b)
	} else if there {
		w.Header().Set("ETag", `"`+string(have)+`"`)
	}
	s.next.ServeHTTP(w, r)
}

func newServer(t *testing.T, conditions bool) (*server, ref.GUN) {
	t.Helper()
	s := &server{next: registry.New(registry.Logger(log.New(io.Discard, "", 0))), conditions: conditions, tags: map[string]digest.Digest{}}
	http := httptest.NewServer(s)
	t.Cleanup(http.Close)
	return s, ref.GUN(strings.TrimPrefix(http.URL, "http://") + "/team/app")
}

func newStore() *Store {
	return New(Config{Registry: oci.New(oci.Config{PlainHTTP: true}), PutTime: 400 * time.Millisecond, Patience: 30 * time.Second})
}

func commit(ctx context.Context, s *Store, gun ref.GUN, u trust.Update) (err error) {
	c, err := s.Begin(ctx, gun)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	return c.Commit(ctx, u)
}

func content(t *testing.T, s *Store, gun ref.GUN) map[string]string {
	t.Helper()
	c, err := s.load(t.Context(), gun, Tag)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name := range c.files {
		b, err := c.Read(t.Context(), name, 100)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

func each(t *testing.T, fn func(t *testing.T, s *server, gun ref.GUN)) {
	t.Helper()
	for name, conditions := range map[string]bool{"with conditions": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			s, gun := newServer(t, conditions)
			fn(t, s, gun)
		})
	}
}

func TestCommit(t *testing.T) {
	each(t, func(t *testing.T, _ *server, gun ref.GUN) {
		s, ctx := newStore(), t.Context()
		if _, err := s.Load(ctx, gun); !fault.Is(err, fault.NotFound) {
			t.Fatalf("nothing is there: %v", err)
		}
		for _, u := range []trust.Update{
			{Put: map[string][]byte{"1.root.json": []byte("root"), "1.targets.json": []byte("one"), "timestamp.json": []byte("t1")}},
			{Put: map[string][]byte{"2.targets.json": []byte("two"), "timestamp.json": []byte("t2")}, Drop: []string{"1.targets.json"}},
		} {
			if err := commit(ctx, s, gun, u); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"1.root.json": "root", "2.targets.json": "two", "timestamp.json": "t2"}
		if diff := cmp.Diff(want, content(t, s, gun)); diff != "" {
			t.Error(diff)
		}
		if held, err := s.readClaim(ctx, gun); held != nil || err != nil {
			t.Errorf("a claim stayed behind: %v, %v", held, err)
		}
		c, err := s.Load(ctx, gun)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(ctx, "timestamp.json", 1); !fault.Is(err, fault.Untrusted) {
			t.Errorf("over the limit: %v", err)
		}
		if _, err := c.Read(ctx, "9.root.json", 9); !fault.Is(err, fault.NotFound) {
			t.Errorf("not there: %v", err)
		}
	})
}

// TestConcurrentPublishers: each adds a file to what it read; with retries all
// files are there afterwards.
func TestConcurrentPublishers(t *testing.T) {
	each(t, func(t *testing.T, _ *server, gun ref.GUN) {
		var wait sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wait.Go(func() {
				u := trust.Update{Put: map[string][]byte{string(rune('a' + i)): {byte(i)}}}
				for range 20 {
					if errs[i] = commit(t.Context(), newStore(), gun, u); !fault.Is(errs[i], fault.Conflict) {
						return
					}
				}
			})
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := content(t, newStore(), gun); len(got) != len(errs) {
			t.Errorf("of %d files %v are there", len(errs), got)
		}
	})
}

// TestLostUpdateIsSaid: somebody writes between our last look and our write, or
// right after it.
func TestLostUpdateIsSaid(t *testing.T) {
	each(t, func(t *testing.T, _ *server, gun ref.GUN) {
		s, ctx := newStore(), t.Context()
		put := func(name string) trust.Update {
			return trust.Update{Put: map[string][]byte{name: []byte(name)}}
		}
		if err := commit(ctx, s, gun, put("a")); err != nil {
			t.Fatal(err)
		}
		slow, err := s.Begin(ctx, gun)
		if err != nil {
			t.Fatal(err)
		}
		// The other side has lost patience with our claim: it is gone.
		if c, ok := slow.(*change); ok && c.claim != nil {
			if err := s.release(ctx, gun, c.claim); err != nil {
				t.Fatal(err)
			}
		}
		if err := commit(ctx, s, gun, put("b")); err != nil {
			t.Fatal(err)
		}
		if err := slow.Commit(ctx, put("c")); !fault.Is(err, fault.Conflict) {
			t.Errorf("got %v, want a conflict", err)
		}
		if got := content(t, s, gun); got["c"] != "" || got["b"] == "" {
			t.Errorf("the other side's files are lost: %v", got)
		}
	})
}

// TestWrittenOver: without conditions, a PUT that outlived every limit lands
// right after ours; that is seen.
func TestWrittenOver(t *testing.T) {
	srv, gun := newServer(t, false)
	s, ctx := newStore(), t.Context()
	if err := commit(ctx, s, gun, trust.Update{Put: map[string][]byte{"a": []byte("a")}}); err != nil {
		t.Fatal(err)
	}
	old, err := s.load(ctx, gun, Tag)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Begin(ctx, gun)
	if err != nil {
		t.Fatal(err)
	}
	own := c.(*change) //nolint:forcetypeassert // a test may panic
	late := &lateRegistry{Handler: srv.next, old: old.manifest.Bytes}
	srv.next = late
	if err := own.Commit(ctx, trust.Update{Put: map[string][]byte{"b": []byte("b")}}); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// lateRegistry stores old over whatever is put under the tag.
type lateRegistry struct {
	http.Handler
	old []byte
}

func (l *lateRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.Handler.ServeHTTP(w, r)
	if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+Tag) {
		again, err := http.NewRequestWithContext(r.Context(), http.MethodPut, r.URL.String(), strings.NewReader(string(l.old)))
		if err == nil {
			again.Header = r.Header.Clone()
			l.Handler.ServeHTTP(httptest.NewRecorder(), again)
		}
	}
}

// TestDeadPublisher: a claim that nobody gives back ends by itself.
func TestDeadPublisher(t *testing.T) {
	_, gun := newServer(t, false)
	s, ctx := newStore(), t.Context()
	s.cfg.Patience = 200 * time.Millisecond
	if _, err := s.Begin(ctx, gun); err != nil {
		t.Fatal(err)
	}
	_, err := s.Begin(ctx, gun)
	if !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Fatalf("claimed twice: %v", err)
	}
	later := newStore()
	later.cfg.Now = func() time.Time { return time.Now().Add(claimAge + time.Minute) }
	c, err := later.Begin(ctx, gun)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestSlowRegistry takes a claim and answers too late: the next publisher need
// not wait for it.
func TestSlowRegistry(t *testing.T) {
	honest, gun := newServer(t, false)
	next := honest.next
	var slow atomic.Bool // the first claim has been slowed down
	honest.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, claimTag) && !slow.Swap(true) {
			time.Sleep(time.Second)
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	})
	s := newStore()
	if _, err := s.Begin(t.Context(), gun); !fault.Is(err, fault.Unavailable) || fault.HintOf(err) == "" {
		t.Fatalf("a slow claim: %v", err)
	}
	s.cfg.Patience = 5 * time.Second
	c, err := s.Begin(t.Context(), gun)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestClaimedAtOnce: of two that claim at once one goes on.
func TestClaimedAtOnce(t *testing.T) {
	_, gun := newServer(t, false)
	var wait sync.WaitGroup
	got := make([]*claim, 4)
	for i := range got {
		wait.Go(func() {
			var err error
			if got[i], _, err = newStore().tryClaim(t.Context(), gun); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	n := 0
	for _, c := range got {
		if c != nil {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of %d hold the claim", n, len(got))
	}
}

func TestNotTrustData(t *testing.T) {
	for name, b := range map[string]string{
		"another artifact": `{"schemaVersion":2,"artifactType":"application/x","layers":[]}`,
		"no name":          `{"artifactType":"` + ArtifactType + `","layers":[{"digest":"sha256:` + strings.Repeat("a", 64) + `","size":1}]}`,
		"bad digest":       `{"artifactType":"` + ArtifactType + `","layers":[{"digest":"x","size":1,"annotations":{"org.opencontainers.image.title":"a"}}]}`,
		"not JSON":         `x`,
	} {
		if files, err := parseManifest([]byte(b)); !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: %v, %v", name, files, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"artifactType":"` + ArtifactType + `","layers":[{"digest":"sha256:` + strings.Repeat("a", 64) + `","size":1,"annotations":{"org.opencontainers.image.title":"a"}}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		files, err := parseManifest(b)
		if err != nil && !fault.Is(err, fault.Untrusted) {
			t.Errorf("kind of %v", err)
		}
		if len(files) > maxFiles {
			t.Errorf("%d files", len(files))
		}
		_ = parseClaim(b)
	})
}
