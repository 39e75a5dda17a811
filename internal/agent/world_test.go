package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/agent"
	"plimsoll/internal/audit"
	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/gate"
	"plimsoll/internal/idmap"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/oci"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/store"
	"plimsoll/internal/verdict"
)

const document = `apiVersion: plimsoll/v1
kind: Policy
publishers:
  us:
    repositories: ["registry.example.com/**"]
    rootKeys: {threshold: 1, keys: ["sha256:9c41000000000000000000000000000000000000000000000000000000000000"]}
environments:
  production:
    signed: {roles: [releases]}
    scanned: {advisoriesWithin: 48h}
    builds: {from: allowed}
host: {environment: production}
teams:
  payments:
    members: {users: [alice], certificates: ["CN=ci"]}
    may: [run, build]
    total: {cpus: 4, memory: 1GiB, pids: 100, storage: 4GiB}
    profile: {cpus: 1, memory: 64MiB, pids: 10, storage: 100MiB}
  other:
    members: {users: [bob]}
    may: [run]
    profile: {cpus: 1, memory: 64MiB, pids: 10}
`

// registry is a repository that serves one image under each tag, with everything
// around a gate. Package gate has the tests of the real parts.
type registry struct {
	mu       sync.Mutex
	tags     map[string]*served // by name without digest, and by name with digest
	signed   map[ref.Digest]bool
	scanned  map[ref.Digest]bool // by manifest
	down     error
	expires  time.Time
	asked    atomic.Int64
	findings []finding.Finding
}

type served struct {
	top, config ref.Digest
	blobs       map[ref.Digest][]byte
	mediaType   map[ref.Digest]string
}

// add makes an image of the given layers and serves it under a tag.
func (g *registry) add(t testing.TB, name string, layers ...string) *served {
	t.Helper()
	s := &served{blobs: map[ref.Digest][]byte{}, mediaType: map[ref.Digest]string{}}
	put := func(mediaType string, b []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		s.blobs[d.Digest], s.mediaType[d.Digest] = b, mediaType
		return d
	}
	encode := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var config v1.Image
	config.OS, config.Architecture, config.Author, config.RootFS.Type = "linux", "amd64", name, "layers"
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	for _, l := range layers {
		d := put(v1.MediaTypeImageLayer, []byte(l))
		m.Layers, config.RootFS.DiffIDs = append(m.Layers, d), append(config.RootFS.DiffIDs, d.Digest)
	}
	m.Config = put(v1.MediaTypeImageConfig, encode(config))
	s.config = m.Config.Digest
	s.top = put(v1.MediaTypeImageManifest, encode(m)).Digest
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tags[name] = s
	g.tags[strings.TrimSuffix(name, name[strings.LastIndexByte(name, ':'):])+"@"+string(s.top)] = s
	g.signed[s.top] = true
	return s
}

// Open implements [image.Blobs].
func (s *served) Open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	b, ok := s.blobs[d.Digest]
	if !ok {
		return nil, fault.Errorf(fault.NotFound, "no blob %s", d.Digest)
	}
	return oci.VerifyReader(io.NopCloser(bytes.NewReader(b)), d), nil
}

type (
	images  struct{ *registry }
	truster struct{ *registry }
	scanner struct{ *registry }
	matcher struct {
		*registry
		now func() time.Time
	}
)

func (g images) Open(ctx context.Context, name, _ string) (*image.Image, error) {
	g.asked.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.tags[name]
	switch {
	case g.down != nil:
		return nil, g.down
	case s == nil:
		return nil, fault.Errorf(fault.NotFound, "no image %q", name)
	}
	r, err := ref.Parse(name)
	if strings.HasPrefix(name, "docker:") {
		r, err = ref.Reference{}, nil
	}
	if err != nil {
		return nil, err
	}
	k := image.Kept{Media: v1.MediaTypeImageManifest, Manifest: s.blobs[s.top], Config: s.blobs[s.config]}
	k.Top = v1.Descriptor{MediaType: k.Media, Digest: s.top, Size: int64(len(k.Manifest))}
	m, err := k.Open(ctx, name, r, func(context.Context) (image.Blobs, error) { return s, nil })
	if err == nil {
		m.Reference = r
	}
	return m, err
}

func (g truster) Statement(_ context.Context, gun ref.GUN, _ gate.Pins, r ref.Reference) (*gate.Statement, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down != nil {
		return nil, g.down
	}
	d := r.Digest
	if d == "" {
		if s := g.tags[r.String()]; s != nil {
			d = s.top
		}
	}
	if !g.signed[d] {
		return nil, fault.Errorf(fault.NotFound, "no role names it")
	}
	return &gate.Statement{GUN: gun, Roles: map[string]ref.Digest{"releases": d}, Signers: map[string][]string{"releases": {"sha256:01"}}, Expires: g.expires}, nil
}

// Scan reads the layers once, as the real one does, and then never again.
func (g scanner) Scan(ctx context.Context, m *image.Image) (*inventory.Inventory, error) {
	g.mu.Lock()
	known := g.scanned[m.Manifest.Digest]
	g.mu.Unlock()
	for _, l := range m.Layers {
		if known {
			break
		}
		r, err := m.Blobs.Open(ctx, l)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scanned[m.Manifest.Digest] = true
	return &inventory.Inventory{Manifest: m.Manifest.Digest}, nil
}

func (g matcher) Match(context.Context, *inventory.Inventory) ([]finding.Finding, time.Time, error) {
	return g.findings, g.now().Add(-time.Hour), nil
}

// world is an agent with everything around it.
type world struct {
	*agent.Agent
	t        testing.TB
	registry *registry
	log      *audit.Log
	logDir   string
	dir      string
	docker   string
	config   agent.Config
	mu       sync.Mutex
	policy   *policy.Document
	now      time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), now: time.Now().UTC()}
	w.logDir = filepath.Join(w.dir, "audit")
	w.docker = filepath.Join(w.dir, "docker")
	w.registry = &registry{tags: map[string]*served{}, signed: map[ref.Digest]bool{}, scanned: map[ref.Digest]bool{}, expires: w.now.Add(1000 * time.Hour)}
	var err error
	if w.log, err = audit.Open(t.Context(), w.logDir, audit.Config{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.log.Close(context.Background()) })
	w.rule(document)
	subid := filepath.Join(w.dir, "subid")
	if err := os.WriteFile(subid, []byte("plimsoll:1879048192:268304384\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.config = agent.Config{
		Ranges: store.NewRanges(store.RangesConfig{File: filepath.Join(w.dir, "ids.json"), SubUID: subid, SubGID: subid}),
		Law:    w.law, Now: w.clock, Docker: w.docker, Protected: []string{"/run/plimsoll"},
		Warn: func(err error) { t.Log("warning:", err) },
		Layers: func(ctx context.Context, name string) (image.Blobs, error) {
			m, err := images{w.registry}.Open(ctx, name, "")
			if err != nil {
				return nil, err
			}
			return m.Blobs, nil
		},
		InUse: func(idmap.Range) (bool, error) { return false, nil },
	}
	w.open()
	return w
}

// open opens the memory, again if it was open.
func (w *world) open() {
	w.t.Helper()
	if w.Agent != nil {
		if err := w.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	m, err := agent.OpenMemory(w.t.Context(), filepath.Join(w.dir, "guard"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.config.Memory = m
	w.Agent = agent.New(w.config)
	w.t.Cleanup(func() { _ = m.Close() })
}

func (w *world) rule(text string) {
	w.t.Helper()
	p, err := policy.Parse("policy.yaml", []byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy = p
}

func (w *world) law() agent.Law {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.registry
	c := gate.Config{
		Policy: w.policy, Images: images{g}, Truster: truster{g}, Scanner: scanner{g}, Matcher: matcher{g, w.clock}, Recorder: w.log, Now: w.clock,
	}
	if w.policy == nil {
		c.PolicyErr = fault.Errorf(fault.Invalid, "the policy cannot be read")
	}
	return agent.Law{Policy: w.policy, Gate: gate.New(c)}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

const (
	app      = "registry.example.com/app:1"
	state    = "/run/docker/runtime-runc/moby"
	bobs     = "registry.example.com/bob:1"
	doorHere = "engine"
)

func id(n int) string { return fmt.Sprintf("%064x", n) }

// judge asks about an image as a member of payments would.
func (w *world) judge(q agent.Question) *verdict.Decision {
	w.t.Helper()
	if q.Team == "" {
		q.Team, q.Caller = "payments", policy.Caller{User: "alice"}
	}
	if q.Action == "" {
		q.Action = policy.ActionRun
	}
	q.Door = doorHere
	d, err := w.Judge(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// make lets the engine have a container of an image, and remembers it.
func (w *world) make(n int, s *served) {
	w.t.Helper()
	d := w.judge(agent.Question{Image: app, Config: s.config})
	if !d.Allowed() {
		w.t.Fatalf("not allowed: %+v", d.Reasons)
	}
	if err := w.Created(agent.Container{ID: id(n), Team: "payments", Caller: "alice", Decision: d.ID, Image: app, Config: s.config, Volumes: []string{"data"}}); err != nil {
		w.t.Fatal(err)
	}
	w.engine(n, s.config)
}

// engine writes what a Docker engine writes about a container.
func (w *world) engine(n int, config ref.Digest) {
	w.t.Helper()
	folder := filepath.Join(w.docker, "containers", id(n))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		w.t.Fatal(err)
	}
	text := fmt.Sprintf(`{"ID":%q,"Image":%q,"Config":{"Image":"busybox","Labels":{"team":"other"}},"MountPoints":{"/v":{"Type":"volume","Name":%q}}}`, id(n), config, id(99))
	if err := os.WriteFile(filepath.Join(folder, "config.v2.json"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// engineImage writes what a Docker engine keeps of an image.
func (w *world) engineImage(s *served) {
	w.t.Helper()
	folder := filepath.Join(w.docker, "image", "overlay2", "imagedb", "content", "sha256")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, s.config.Encoded()), s.blobs[s.config], 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start(n int) (*protocol.Grant, error) {
	return w.Grant(w.t.Context(), &protocol.Question{Version: protocol.Version, Verb: protocol.Create, ID: id(n), State: state, Cgroup: "/docker/" + id(n)})
}

func (w *world) mustStart(n int) *protocol.Grant {
	w.t.Helper()
	g, err := w.start(n)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func (w *world) mustNotStart(n int, kind fault.Kind, says string) {
	w.t.Helper()
	g, err := w.start(n)
	if !fault.Is(err, kind) || !strings.Contains(err.Error(), says) {
		w.t.Errorf("got %+v, %v (%v); want a refusal of kind %v that says %q", g, err, fault.KindOf(err), kind, says)
	}
}

// recorded returns the decisions in the log.
func (w *world) recorded() []verdict.Decision {
	w.t.Helper()
	r, err := audit.OpenReader(w.t.Context(), w.logDir, "")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var all []verdict.Decision
	for e, err := range r.Events(0) {
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Decision != nil {
			all = append(all, *e.Decision)
		}
	}
	return all
}

var errDown = fault.As(fault.Unavailable, errors.New("no route to the registry"))
