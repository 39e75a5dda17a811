package ocistore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// softKey is a key in memory, and the keyring that holds it.
type softKey struct {
	ed25519.PrivateKey
	key *trust.Key
}

func newSoftKey(t *testing.T) softKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := trust.NewKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return softKey{private, k}
}

func (k softKey) Public() crypto.PublicKey { return k.PrivateKey.Public() }
func (k softKey) Close() error             { return nil }
func (k softKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	return ed25519.Sign(k.PrivateKey, message), nil
}
func (k softKey) Signer(context.Context, *trust.Key) (key.Signer, error) { return k, nil }

// machine is a computer with the repository's key and a memory of its own.
type machine struct {
	t      *testing.T
	gun    ref.GUN
	pins   trust.Pins
	client *trust.Client
	*trust.Repository
}

func newMachine(t *testing.T, gun ref.GUN, k softKey) *machine {
	t.Helper()
	store := New(Config{Registry: oci.New(oci.Config{PlainHTTP: true}), PutTime: 400 * time.Millisecond, Patience: time.Minute})
	m := &machine{t: t, gun: gun, pins: trust.Pins{Threshold: 1, Keys: []string{k.key.Fingerprint}}}
	m.client = trust.NewClient(trust.ClientConfig{Source: store, State: t.TempDir()})
	m.Repository = trust.NewRepository(trust.RepositoryConfig{GUN: gun, Store: store, Client: m.client, Pins: m.pins, Keys: k, Tries: 20})
	return m
}

func (m *machine) init(k softKey) {
	m.t.Helper()
	if err := m.Init(m.t.Context(), trust.InitConfig{Root: []*trust.Key{k.key}, RootThreshold: 1, Targets: []*trust.Key{k.key}}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) sign(tag string) error { return m.signUnder(m.t.Context(), tag) }

func (m *machine) signUnder(ctx context.Context, tag string) error {
	d := digest.FromString(tag)
	return m.Sign(ctx, trust.RoleTargets, trust.Image{
		Tag: tag, Digest: d, Size: 1, MediaType: "application/vnd.oci.image.manifest.v1+json",
		Platforms: []trust.Platform{{Platform: "linux/amd64", Manifest: d, Size: 1, Config: d, ChainID: d}},
	})
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// signed returns those of the tags that are signed.
func (m *machine) signed(tags ...string) string {
	m.t.Helper()
	var all []string
	for _, tag := range tags {
		s, err := m.client.Statement(m.t.Context(), m.gun, m.pins, m.gun.Reference().WithTag(tag))
		switch {
		case err == nil && s.Roles[trust.RoleTargets] == digest.FromString(tag):
			all = append(all, tag)
		case !fault.Is(err, fault.NotFound):
			m.t.Fatalf("%s: %v", tag, err)
		}
	}
	return strings.Join(all, " ")
}

// recorder keeps every manifest that a registry took under the tags of trust
// data.
type recorder struct {
	next http.Handler
	mu   sync.Mutex
	puts [][]byte
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodPut || !strings.Contains(q.URL.Path, "/manifests/"+Tag) || strings.HasSuffix(q.URL.Path, claimTag) {
		r.next.ServeHTTP(w, q)
		return
	}
	b, _ := io.ReadAll(q.Body)
	q.Body = io.NopCloser(bytes.NewReader(b))
	answer := httptest.NewRecorder()
	r.next.ServeHTTP(answer, q)
	if answer.Code == http.StatusCreated {
		r.mu.Lock()
		r.puts = append(r.puts, b)
		r.mu.Unlock()
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// issued returns the contents that were issued under each file name, with the
// version of a timestamp as its name.
func (r *recorder) issued(t *testing.T, gun ref.GUN) map[string]map[digest.Digest]bool {
	t.Helper()
	all := map[string]map[digest.Digest]bool{}
	s := newStore()
	for _, b := range r.puts {
		files, err := parseManifest(b)
		if err != nil {
			t.Fatal(err)
		}
		c := &collection{registry: s.cfg.Registry, gun: gun, files: files}
		for name, d := range files {
			if name == "timestamp.json" {
				b, err := c.Read(t.Context(), name, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				var stamp struct{ Signed struct{ Version int } }
				if err := json.Unmarshal(b, &stamp); err != nil {
					t.Fatal(err)
				}
				name = fmt.Sprintf("%d.timestamp.json", stamp.Signed.Version)
			}
			if all[name] == nil {
				all[name] = map[digest.Digest]bool{}
			}
			all[name][d.Digest] = true
		}
	}
	return all
}

// TestEightPublishers sign eight tags at the same moment: all signatures are
// there afterwards, and no version was issued twice.
func TestEightPublishers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server, gun ref.GUN) {
		seen := &recorder{next: s.next}
		s.next = seen
		k := newSoftKey(t)
		newMachine(t, gun, k).init(k)
		tags := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		errs := make([]error, len(tags))
		var wait sync.WaitGroup
		for i, tag := range tags {
			m := newMachine(t, gun, k)
			wait.Go(func() { errs[i] = m.sign(tag) })
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got := newMachine(t, gun, k).signed(tags...); got != strings.Join(tags, " ") {
			t.Errorf("signed are %q", got)
		}
		issued := seen.issued(t, gun)
		for name, contents := range issued {
			if len(contents) != 1 {
				t.Errorf("%s was issued with %d contents", name, len(contents))
			}
		}
		for _, name := range []string{"9.targets.json", "9.snapshot.json", "9.timestamp.json"} {
			if issued[name] == nil {
				t.Errorf("no %s: %q", name, slices.Sorted(maps.Keys(issued)))
			}
		}
	})
}

// late is a registry that lets a PUT of trust data hang until its client has
// given up, and takes it after that.
type late struct {
	next http.Handler
	mu   sync.Mutex
	tag  string // whose next PUT hangs; "" for none
	lose string // whose next PUT is answered and forgotten; "" for none
	kept *http.Request
}

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if l.lose != "" && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+l.lose) {
		l.lose = ""
		l.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		return
	}
	hang := l.tag != "" && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+l.tag)
	if hang {
		b, _ := io.ReadAll(r.Body)
		l.tag, l.kept = "", r.Clone(context.WithoutCancel(r.Context()))
		l.kept.Body = io.NopCloser(bytes.NewReader(b))
	}
	l.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return
	}
	l.next.ServeHTTP(w, r)
}

func (l *late) deliver(t *testing.T) {
	t.Helper()
	answer := httptest.NewRecorder()
	l.next.ServeHTTP(answer, l.kept)
	if answer.Code != http.StatusCreated {
		t.Fatalf("the late PUT was answered with %d", answer.Code)
	}
}

// lateWorld is a registry without conditions, on which a publisher of "slow"
// gives up because the PUT of tag hangs, while others go on and sign what is
// given; then the PUT arrives. The reader has seen what is signed before.
func lateWorld(t *testing.T, tag, lose, before string, others ...string) (k softKey, gun ref.GUN, reader *machine) {
	t.Helper()
	s, gun := newServer(t, false)
	l := &late{next: s.next}
	s.next = l
	k = newSoftKey(t)
	first := newMachine(t, gun, k)
	first.init(k)
	first.must(first.sign("old"))
	reader = newMachine(t, gun, k)
	l.tag, l.lose = tag, lose
	if err := newMachine(t, gun, k).sign("slow"); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("whose PUT hangs is told %v", err)
	}
	for _, other := range others {
		m := newMachine(t, gun, k)
		m.must(m.sign(other))
	}
	if got := reader.signed("old", "slow", "b", "c"); got != before {
		t.Fatalf("before the late PUT %q are signed", got)
	}
	l.deliver(t)
	return k, gun, reader
}

// TestLateWrite: a PUT that outlives its time limit overwrites two newer
// updates. Clients who saw those refuse what is there; the next publisher brings
// them back, under versions above the highest that was issued. What the slow
// publisher signed is not lost either: the next one finds it remembered.
func TestLateWrite(t *testing.T) {
	t.Parallel()
	k, gun, reader := lateWorld(t, Tag, "", "old slow b c", "b", "c")
	_, err := reader.client.Refresh(t.Context(), gun, reader.pins)
	if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("who saw the newer data is told %v", err)
	}
	if got := newMachine(t, gun, k).signed("old", "slow", "b", "c"); got != "old slow" {
		t.Errorf("others find %q", got)
	}
	next := newMachine(t, gun, k)
	next.must(next.sign("d"))
	for _, m := range []*machine{reader, newMachine(t, gun, k)} {
		if got := m.signed("old", "slow", "b", "c", "d"); got != "old slow b c d" {
			t.Errorf("after the repair %q are signed", got)
		}
	}
}

// TestLateTwin: the late PUT has the version of the update that it overwrites,
// since two publishers were at work at once. Both are there afterwards, whether
// the next publisher saw one of them or none.
func TestLateTwin(t *testing.T) {
	t.Parallel()
	for name, saw := range map[string]bool{"fresh publisher": false, "publisher who saw the other": true} {
		t.Run(name, func(t *testing.T) {
			k, gun, reader := lateWorld(t, Tag, placeTag(3), "old b", "b")
			next := reader
			if !saw {
				next = newMachine(t, gun, k)
			}
			next.must(next.sign("d"))
			for _, m := range []*machine{reader, newMachine(t, gun, k)} {
				if got := m.signed("old", "slow", "b", "d"); got != "old slow b d" {
					t.Errorf("after the repair %q are signed", got)
				}
			}
		})
	}
}

// TestLateMemory: what is remembered may be late as well.
func TestLateMemory(t *testing.T) {
	t.Parallel()
	k, gun, reader := lateWorld(t, placeTag(3), "", "old b", "b")
	next := newMachine(t, gun, k)
	next.must(next.sign("d"))
	if got := reader.signed("old", "slow", "b", "d"); got != "old slow b d" {
		t.Errorf("%q are signed", got)
	}
}

// TestHostileMemory: whoever can push, but not sign, writes old trust data and
// rubbish where updates are remembered. Nothing that was revoked comes back, and
// publishers go on.
func TestHostileMemory(t *testing.T) {
	t.Parallel()
	_, gun := newServer(t, false)
	k := newSoftKey(t)
	m := newMachine(t, gun, k)
	m.init(k)
	m.must(m.sign("bad"))
	registry := oci.New(oci.Config{PlainHTTP: true})
	old, err := registry.Manifest(t.Context(), gun.Reference().WithTag(Tag))
	m.must(err)
	_, err = m.Revoke(t.Context(), trust.RoleTargets, digest.FromString("bad"))
	m.must(err)
	for place := range int64(places) {
		b := old.Bytes
		if place%2 == 1 {
			b = []byte(strings.Replace(string(b), ArtifactType, "application/x", 1))
		}
		_, err = registry.PushManifest(t.Context(), gun.Reference().WithTag(placeTag(place)), old.MediaType, b, oci.Condition{})
		m.must(err)
	}
	for _, who := range []*machine{m, newMachine(t, gun, k)} {
		who.must(who.sign("good"))
		if got := newMachine(t, gun, k).signed("bad", "good"); got != "good" {
			t.Errorf("%q are signed", got)
		}
	}
}

// TestCeremonyOverLateTwin: a ceremony does not write over an update that was lost
// and is found again. After a refresh, which publishes it, one can be finished.
func TestCeremonyOverLateTwin(t *testing.T) {
	t.Parallel()
	k, gun, _ := lateWorld(t, Tag, placeTag(3), "old b", "b")
	m := newMachine(t, gun, k)
	finish := func() error {
		c, err := m.Propose(t.Context(), trust.Changes{Roles: []trust.RoleConfig{{Name: "qa", Keys: []*trust.Key{k.key}}}, Until: time.Now().Add(time.Hour).Truncate(time.Second)})
		m.must(err)
		a, err := c.Answer(t.Context(), k)
		m.must(err)
		_, err = m.Finish(t.Context(), c, []*trust.Answer{a})
		return err
	}
	if err := finish(); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err), "trust refresh") {
		t.Errorf("got %v, hint %q", err, fault.HintOf(err))
	}
	m.must(m.Refresh(t.Context()))
	m.must(finish())
	if got := newMachine(t, gun, k).signed("old", "slow", "b"); got != "old slow b" {
		t.Errorf("%q are signed", got)
	}
}

// TestStoppedTooLate: somebody signs the wrong image and stops it while it is
// published. They are told that it may be published yet, which the next publisher
// does, and can take it back.
func TestStoppedTooLate(t *testing.T) {
	t.Parallel()
	s, gun := newServer(t, false)
	k := newSoftKey(t)
	m := newMachine(t, gun, k)
	m.init(k)
	ctx, stop := context.WithCancel(t.Context())
	next := s.next
	s.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/"+Tag) && ctx.Err() == nil {
			_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that the client hangs up
			stop()
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
	if err := m.signUnder(ctx, "wrong"); !strings.Contains(fault.HintOf(err), "may be published yet") {
		t.Errorf("got %v, hint %q", err, fault.HintOf(err))
	}
	m.must(newMachine(t, gun, k).sign("right"))
	if got := m.signed("wrong", "right"); got != "wrong right" {
		t.Errorf("%q are signed", got)
	}
	_, err := m.Revoke(t.Context(), trust.RoleTargets, digest.FromString("wrong"))
	m.must(err)
	if got := m.signed("wrong", "right"); got != "right" {
		t.Errorf("%q are signed", got)
	}
}
