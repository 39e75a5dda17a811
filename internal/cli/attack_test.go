package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"plimsoll/internal/cli"
	"plimsoll/internal/gate"
	"plimsoll/internal/verdict"
)

// hostile is a registry whose owner does what meddle says: it answers the
// request itself and returns true, or leaves it to the registry.
type hostile struct {
	t      *testing.T
	honest http.Handler
	meddle atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
	repo   string // host/team/app
	dir    string
	policy string
}

// newHostile returns a registry with a signed image team/app:1, whose root key
// the policy names.
func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{t: t, dir: t.TempDir(), honest: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := h.meddle.Load(); f == nil || !(*f)(w, r) {
			h.honest.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	h.repo = strings.TrimPrefix(server.URL, "http://") + "/team/app"
	h.policy = filepath.Join(h.dir, "policy.yaml")
	h.push(":1")
	h.must("key", "generate", "file:"+filepath.Join(h.dir, "root.pem"))
	h.must("key", "generate", "file:"+filepath.Join(h.dir, "app.pem"))
	var v struct {
		Pins gate.Pins `json:"pins"`
	}
	out := h.must("trust", "init", h.repo, "--root-key", "file:"+filepath.Join(h.dir, "root.pem"), "--key", "file:"+filepath.Join(h.dir, "app.pem"), "-o", "json")
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	h.write(h.policy, `apiVersion: plimsoll/v1
kind: Policy
publishers:
  team: {repositories: ["`+h.repo+`"], rootKeys: {threshold: 1, keys: ["`+v.Pins.Keys[0]+`"]}}
environments:
  production: {signed: {roles: [targets]}}
  looked: {rules: [{id: empty, each: image, deny: "image.distro == ''"}]}
  both: {signed: {roles: [targets]}, rules: [{id: never, each: image, deny: "true"}]}
`)
	h.must("sign", h.repo+":1")
	return h
}

func (h *hostile) write(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// push puts a new image of this machine's kind under the tag.
func (h *hostile) push(tag string) v1.Image {
	h.t.Helper()
	img, err := random.Image(1000, 1)
	if err != nil {
		h.t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		h.t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		h.t.Fatal(err)
	}
	if err := remote.Write(h.name(tag), img); err != nil {
		h.t.Fatal(err)
	}
	return img
}

func (h *hostile) name(tag string) name.Reference {
	h.t.Helper()
	r, err := name.ParseReference(h.repo+tag, name.Insecure)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// run runs a command line for at most a few seconds, in this process.
func (h *hostile) run(args ...string) (code int, out, errs string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 10*time.Second)
	defer cancel()
	var o, e bytes.Buffer
	args = append([]string{"--plain-http", "--data", filepath.Join(h.dir, "data"), "--policy", h.policy}, args...)
	code = cli.Main(ctx, args, os.Stdin, &o, &e)
	return code, o.String(), e.String()
}

func (h *hostile) must(args ...string) string {
	h.t.Helper()
	code, out, errs := h.run(args...)
	if code != 0 {
		h.t.Fatalf("%q: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

// answer makes the registry answer every request for a path that contains part.
func (h *hostile) answer(part string, f func(w http.ResponseWriter, r *http.Request)) {
	m := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
			return false
		}
		f(w, r)
		return true
	}
	h.meddle.Store(&m)
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(code)
	}
}

// instead answers with what the honest registry has for another path.
func (h *hostile) instead(from, to string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.ReplaceAll(r.URL.Path, from, to)
		h.honest.ServeHTTP(w, r)
	}
}

// altered answers with the honest bytes, changed by f.
func (h *hostile) altered(f func([]byte) []byte) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.honest.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			if k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(rec.Code)
		w.Write(f(rec.Body.Bytes()))
	}
}

func flip(b []byte) []byte {
	if len(b) > 0 {
		b[len(b)/2] ^= 1
	}
	return b
}

// copyTag makes the tag from also the tag to.
func (h *hostile) copyTag(from, to string) {
	h.t.Helper()
	d, err := remote.Get(h.name(from))
	if err != nil {
		h.t.Fatal(err)
	}
	if err := remote.Tag(h.name(to).(name.Tag), d); err != nil {
		h.t.Fatal(err)
	}
}

// TestExitCodes is DESIGN.md's table: 1, then 4, then 3.
func TestExitCodes(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PLIMSOLL_KEY_PASSPHRASE", "correct-horse-battery")
	type codes struct{ check, looked, both, verify, sign, scan int }
	good := codes{0, 3, 3, 0, 0, 0}
	tests := []struct {
		name   string
		spoils bool // the world is not as before
		do     func(h *hostile)
		want   codes
	}{
		{"signed", false, func(*hostile) {}, good},
		{"401", false, func(h *hostile) { h.answer("/v2/", status(http.StatusUnauthorized)) }, codes{1, 1, 1, 1, 1, 1}},
		{"404", false, func(h *hostile) { h.answer("/v2/team", status(http.StatusNotFound)) }, codes{1, 1, 1, 1, 4, 1}},
		{"429", false, func(h *hostile) { h.answer("/v2/", status(http.StatusTooManyRequests)) }, codes{1, 1, 1, 1, 1, 1}},
		{"500", false, func(h *hostile) { h.answer("/v2/", status(http.StatusInternalServerError)) }, codes{1, 1, 1, 1, 1, 1}},
		{"trust data breaks off", false, func(h *hostile) {
			h.answer("/manifests/_trust", func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second); panic(http.ErrAbortHandler) })
		}, codes{1, 3, 1, 1, 1, 0}},
		{"trust data refused", false, func(h *hostile) { h.answer("/manifests/_trust", status(http.StatusForbidden)) }, codes{1, 3, 1, 1, 1, 0}},
		{"trust data gone after it was seen", false, func(h *hostile) { h.answer("/manifests/_trust", status(http.StatusNotFound)) }, codes{4, 3, 4, 4, 4, 0}},
		{"trust data is an image", false, func(h *hostile) { h.answer("/manifests/_trust", h.instead("/_trust", "/1")) }, codes{4, 3, 4, 4, 4, 0}},
		{"trust data endless", false, func(h *hostile) {
			h.answer("/manifests/_trust", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
				for r.Context().Err() == nil {
					if _, err := w.Write(make([]byte, 1<<16)); err != nil {
						return
					}
				}
			})
		}, codes{4, 3, 4, 4, 4, 0}},
		{"trust data rolled back", true, func(h *hostile) {
			h.copyTag(":_trust", ":old")
			h.must("sign", h.repo+":1")
			h.must("verify", h.repo+":1")
			h.copyTag(":old", ":_trust")
		}, codes{4, 3, 4, 4, 4, 0}},
		{"timestamp expired", true, func(h *hostile) {
			h.expire()
		}, codes{4, 3, 4, 4, 0, 0}},
		{"another image under the tag", true, func(h *hostile) { h.push(":1") }, codes{4, 3, 4, 4, 0, 0}},
		{"not signed", true, func(h *hostile) { h.push(":2"); h.copyTag(":2", ":1") }, codes{4, 3, 4, 4, 0, 0}},
		{"blobs altered", false, func(h *hostile) { h.answer("/blobs/", h.altered(flip)) }, codes{4, 4, 4, 4, 4, 4}},
		{"blobs cut", false, func(h *hostile) {
			h.answer("/blobs/", h.altered(func(b []byte) []byte { return b[:len(b)/2] }))
		}, codes{4, 4, 4, 4, 4, 4}},
		{"blobs longer", false, func(h *hostile) {
			h.answer("/blobs/", h.altered(func(b []byte) []byte { return append(b, 'x') }))
		}, codes{4, 4, 4, 4, 4, 4}},
		{"policy missing", true, func(h *hostile) { h.remove("policy.yaml") }, codes{1, 1, 1, 1, 1, 0}},
		{"policy bad", true, func(h *hostile) { h.write(h.policy, "kind: Nonsense") }, codes{1, 1, 1, 1, 1, 0}},
		{"policy unreadable", true, func(h *hostile) { h.remove("policy.yaml"); h.mkdir("policy.yaml") }, codes{1, 1, 1, 1, 1, 0}},
		{"no pins, no publisher", true, func(h *hostile) {
			h.remove("data/trust/pins.json")
			h.write(h.policy, "apiVersion: plimsoll/v1\nkind: Policy\nenvironments: {production: {signed: {roles: [targets]}}, looked: {rules: [{id: empty, each: image, deny: 'image.distro == \"\"'}]}, both: {signed: {roles: [targets]}}}\n")
		}, codes{4, 3, 4, 4, 4, 0}},
		{"another key in the key's file", true, func(h *hostile) {
			h.remove("app.pem")
			h.remove("app.pem.pub")
			h.must("key", "generate", "file:"+filepath.Join(h.dir, "app.pem"))
		}, codes{0, 3, 3, 0, 1, 0}},
		{"key file gone", true, func(h *hostile) { h.remove("app.pem") }, codes{0, 3, 3, 0, 1, 0}},
		{"trust state damaged", true, func(h *hostile) {
			h.write(filepath.Join(h.dir, "data/trust/client", h.repo, "_trust/timestamp.json"), "{}")
		}, codes{4, 3, 4, 4, 4, 0}},
		{"audit log cannot be written", true, func(h *hostile) { h.write(filepath.Join(h.dir, "data/audit"), "a file") }, codes{1, 1, 1, 0, 0, 0}},
	}
	shared := newHostile(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := shared
			if tt.spoils {
				t.Parallel() // most of it waits
				h = newHostile(t)
			}
			h.must("verify", h.repo+":1")
			defer h.meddle.Store(nil)
			tt.do(h)
			image := h.repo + ":1"
			for _, c := range []struct {
				want int
				args []string
			}{
				{tt.want.check, []string{"check", image, "--environment", "production"}},
				{tt.want.looked, []string{"check", image, "--environment", "looked"}},
				{tt.want.both, []string{"check", image, "--environment", "both"}},
				{tt.want.verify, []string{"verify", image}},
				{tt.want.scan, []string{"sbom", image}},
				{tt.want.sign, []string{"sign", image}},
			} {
				if code, out, errs := h.run(c.args...); code != c.want {
					t.Errorf("%q: exit %d, want %d\n%s%s", c.args, code, c.want, out, errs)
				}
			}
		})
	}
}

func (h *hostile) remove(name string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.dir, name)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hostile) mkdir(name string) {
	h.t.Helper()
	if err := os.Mkdir(filepath.Join(h.dir, name), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

// expire makes the timestamp one that has run out.
func (h *hostile) expire() {
	h.t.Helper()
	record := filepath.Join(h.dir, "data/trust/publisher", h.repo, "_publisher.json")
	b, err := os.ReadFile(record)
	if err != nil {
		h.t.Fatal(err)
	}
	short := bytes.Replace(b, []byte("{"), []byte(`{"expiries": {"timestamp": "1s"},`), 1)
	h.write(record, string(short))
	h.must("trust", "refresh", h.repo, "--force")
	h.write(record, string(b))
	time.Sleep(1100 * time.Millisecond)
}

// TestSwitchedWhileItIsJudged has the registry serve the signed image to whoever
// asks for the tag first, and another one from then on: what is judged, recorded
// and handed on is one digest, asked for by tag once.
func TestSwitchedWhileItIsJudged(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PLIMSOLL_KEY_PASSPHRASE", "correct-horse-battery")
	h := newHostile(t)
	signed, err := remote.Get(h.name(":1"))
	if err != nil {
		t.Fatal(err)
	}
	h.copyTag(":1", ":good")
	h.push(":evil")
	for _, environment := range []string{"production", "looked", "both"} {
		var asked atomic.Int32
		h.answer("/manifests/1", func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				h.instead("/manifests/1", "/manifests/good")(w, r)
				return
			}
			h.instead("/manifests/1", "/manifests/evil")(w, r)
		})
		_, out, errs := h.run("check", h.repo+":1", "--environment", environment, "-o", "json")
		var d verdict.Decision
		if err := json.Unmarshal([]byte(out), &d); err != nil {
			t.Fatalf("%v\n%s", err, errs)
		}
		if asked.Load() != 1 || string(d.Digest) != signed.Digest.String() || d.Manifest != d.Digest {
			t.Errorf("%s: the tag was asked for %d times, judged %s", environment, asked.Load(), d.Digest)
		}
	}
}

// TestTwoProcesses has several processes ask and sign at once over one folder of
// state: each answer is recorded, none is lost, and none is wrong.
func TestTwoProcesses(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PLIMSOLL_KEY_PASSPHRASE", "correct-horse-battery")
	h := newHostile(t)
	const n = 6
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if code, out, errs := h.run("check", h.repo+":1", "--environment", "production"); code != 0 {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
	all.Wait()
	if lines := strings.Count(h.must("audit", "log", "-o", "json"), "\n"); lines != n {
		t.Errorf("%d events, want %d", lines, n)
	}
	h.must("audit", "verify")
}
