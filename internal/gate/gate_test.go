package gate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/advisory"
	"plimsoll/internal/audit"
	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/gate"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/policy"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

const (
	top      = ref.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	manifest = ref.Digest("sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	document = `apiVersion: plimsoll/v1
kind: Policy
publishers:
  us:
    repositories: ["registry.example.com/**"]
    mirrors: {"mirror.example.net/**": "registry.example.com/**"}
    rootKeys: {threshold: 1, keys: ["sha256:9c41000000000000000000000000000000000000000000000000000000000000"]}
environments:
  production:
    signed: {roles: [releases]}
    scanned: {advisoriesWithin: 48h}
    rules: [{id: exploited, each: finding, deny: finding.exploited}]
  signed-only: {signed: {roles: [releases]}}
teams:
  payments:
    members: {users: [alice]}
    may: [run]
    profile: {cpus: 1, memory: 64MiB, pids: 10}
`
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is everything around a gate. Its parts do what their fields say; the
// tests of the real parts, and of the gate over them, are elsewhere.
type world struct {
	gate.Config
	openErr, trustErr, scanErr, matchErr, recordErr error
	roles                                           map[string]ref.Digest
	gun                                             ref.GUN
	asked                                           ref.Reference
	pins                                            gate.Pins
	attestations                                    map[string][][]byte
	inventory                                       inventory.Inventory
	findings                                        []finding.Finding
	local                                           bool
	calls                                           []string
	recorded                                        []verdict.Decision
}

func newWorld(t testing.TB) *world {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		roles: map[string]ref.Digest{"releases": top}, gun: "registry.example.com/app",
		inventory: inventory.Inventory{Manifest: manifest, Components: []inventory.Component{{Name: "zlib"}}},
	}
	w.Config = gate.Config{
		Policy: p, Images: images{w}, Truster: truster{w}, Scanner: scanner{w}, Matcher: matcher{w}, Recorder: recorder{w},
		Now: func() time.Time { return noon },
	}
	return w
}

type (
	images   struct{ *world }
	truster  struct{ *world }
	scanner  struct{ *world }
	matcher  struct{ *world }
	recorder struct{ *world }
)

func (w images) Open(_ context.Context, name, _ string) (*image.Image, error) {
	if w.openErr != nil {
		return nil, w.openErr
	}
	m := &image.Image{Name: name, Top: v1.Descriptor{Digest: top}, Manifest: v1.Descriptor{Digest: manifest}}
	m.Spec.OS, m.Spec.Architecture = "linux", "amd64"
	if !w.local {
		var err error
		if m.Reference, err = ref.Parse(name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (w truster) Statement(_ context.Context, gun ref.GUN, pins gate.Pins, r ref.Reference) (*gate.Statement, error) {
	w.asked, w.pins = r, pins
	if w.trustErr != nil {
		return nil, w.trustErr
	}
	return &gate.Statement{
		GUN: w.gun, Roles: w.roles, Signers: map[string][]string{"releases": {"sha256:01"}}, Expires: noon.Add(time.Hour),
		RootKeys: slices.Sorted(maps.Keys(w.attestations)), Attestations: w.attestations,
	}, nil
}

func (w scanner) Scan(context.Context, *image.Image) (*inventory.Inventory, error) {
	w.calls = append(w.calls, "scan")
	return &w.inventory, w.scanErr
}

func (w matcher) Match(context.Context, *inventory.Inventory) ([]finding.Finding, time.Time, error) {
	w.calls = append(w.calls, "match")
	return w.findings, noon.Add(-time.Hour), w.matchErr
}

func (w recorder) Record(_ context.Context, d *verdict.Decision) (verdict.Receipt, error) {
	if w.recordErr == nil {
		w.recorded = append(w.recorded, *d)
	}
	return verdict.Receipt{Log: "log", Index: int64(len(w.recorded) - 1)}, w.recordErr
}

func request() gate.Request {
	return gate.Request{Image: "registry.example.com/app:1", Environment: "production", Team: "payments", Door: "run", Caller: "alice"}
}

func decide(t *testing.T, w *world, q gate.Request) gate.Answer {
	t.Helper()
	a, err := gate.New(w.Config).Decide(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func denials(d *verdict.Decision) []string {
	var all []string
	for _, r := range d.Reasons {
		if r.Outcome == verdict.Denied {
			all = append(all, r.Rule+" "+string(r.Class))
		}
	}
	return all
}

func TestAllowed(t *testing.T) {
	w := newWorld(t)
	a := decide(t, w, request())
	d := &a.Decision
	if !d.Allowed() || d.Profile == nil || d.Receipt == nil || d.Digest != top || d.Manifest != manifest || d.PolicyHash != w.Policy.Hash() || len(d.ID) != 32 {
		t.Errorf("%+v", d)
	}
	if a.Image == nil || a.Image.Top.Digest != d.Digest {
		t.Error("the image that was judged is not handed out")
	}
	if w.pins.Threshold != 1 || len(w.pins.Keys) != 1 || w.asked.Tag != "1" {
		t.Errorf("trust was asked with %+v about %q", w.pins, w.asked)
	}
}

func TestDenied(t *testing.T) {
	tests := []struct {
		name   string
		change func(*world, *gate.Request)
		want   []string
	}{
		{"unknown environment", func(_ *world, q *gate.Request) { q.Environment = "prod" }, []string{"environment rule"}},
		{"no environment", func(_ *world, q *gate.Request) { q.Environment = "" }, []string{"environment rule"}},
		{"unknown team", func(_ *world, q *gate.Request) { q.Team = "ghosts" }, []string{"team rule"}},
		{"no team at the door of run", func(_ *world, q *gate.Request) { q.Team = "" }, []string{"team rule"}},
		{"profile that cannot be enforced", func(w *world, _ *gate.Request) {
			w.Enforceable = func(profile.Profile) error { return fault.Errorf(fault.Denied, "no network here") }
		}, []string{"profile rule"}},
		{"profile that cannot be enforced, only asked about", func(w *world, q *gate.Request) {
			q.Door, q.Caller = "check", "mallory"
			w.Enforceable = func(profile.Profile) error { return errors.New("boom") }
		}, []string{"profile rule"}},
		{"not a member", func(_ *world, q *gate.Request) { q.Caller = "mallory" }, []string{"team rule"}},
		{"no such image", func(w *world, _ *gate.Request) { w.openErr = fault.Errorf(fault.NotFound, "no such tag") }, []string{"image unavailable"}},
		{"changed image", func(w *world, _ *gate.Request) { w.openErr = fault.Errorf(fault.Untrusted, "wrong digest") }, []string{"image evidence"}},
		{"not signed", func(w *world, _ *gate.Request) { w.trustErr = fault.Errorf(fault.NotFound, "no trust data") }, []string{"signed evidence"}},
		{"registry down", func(w *world, _ *gate.Request) { w.trustErr = errors.New("boom") }, []string{"signed unavailable"}},
		{"signed for another repository", func(w *world, _ *gate.Request) { w.gun = "registry.example.com/other" }, []string{"signed evidence"}},
		{"registry serves another digest", func(w *world, _ *gate.Request) { w.roles = map[string]ref.Digest{"releases": manifest} }, []string{"signed evidence"}},
		{"scan failed", func(w *world, _ *gate.Request) { w.scanErr = errors.New("boom") }, []string{"scanned unavailable", "exploited unavailable"}},
		{"inventory of another image", func(w *world, _ *gate.Request) { w.inventory.Manifest = top }, []string{"scanned unavailable", "exploited unavailable"}},
		{"unreadable", func(w *world, _ *gate.Request) { w.inventory.Unreadable = make([]inventory.Unreadable, 1) }, []string{"scanned evidence"}},
		{"match failed", func(w *world, _ *gate.Request) { w.matchErr = fault.Errorf(fault.Untrusted, "stale") }, []string{"scanned evidence", "exploited evidence"}},
		{"exploited", func(w *world, _ *gate.Request) {
			w.findings = []finding.Finding{{ID: "CVE-1", Exploited: true, Severity: advisory.High}}
		}, []string{"exploited rule"}},
		{"local", func(w *world, q *gate.Request) { w.local, q.Image = true, "oci:dir" }, []string{"local rule"}},
		{"not recorded", func(w *world, _ *gate.Request) { w.recordErr = fault.Errorf(fault.Unavailable, "disk full") }, []string{"recorded unavailable"}},
		{"everything at once", func(w *world, q *gate.Request) {
			q.Team, w.trustErr, w.scanErr = "ghosts", errors.New("boom"), errors.New("boom")
		}, []string{"team rule", "signed unavailable", "scanned unavailable", "exploited unavailable"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, q := newWorld(t), request()
			tt.change(w, &q)
			d := decide(t, w, q).Decision
			if d.Allowed() || d.Profile != nil || !slices.Equal(denials(&d), tt.want) {
				t.Errorf("got %v %q, want denials %q", d.Outcome, denials(&d), tt.want)
			}
			if w.recordErr == nil && (len(w.recorded) != 1 || w.recorded[0].Outcome != verdict.Denied) {
				t.Errorf("recorded %+v", w.recorded)
			}
		})
	}
}

// TestNoPolicyIsRecorded: somebody who takes the policy away, or breaks it,
// leaves a trace of everything that was then refused.
func TestNoPolicyIsRecorded(t *testing.T) {
	for _, refused := range []error{fault.Errorf(fault.Invalid, "policy.yaml:1:1: nonsense"), nil} {
		w := newWorld(t)
		w.Policy, w.PolicyErr = nil, refused
		d := decide(t, w, request()).Decision
		if d.Allowed() || d.Profile != nil || !slices.Equal(denials(&d), []string{"policy unavailable"}) || d.Team != "payments" || d.Environment != "production" {
			t.Errorf("%+v", d)
		}
		if len(w.recorded) != 1 || len(w.calls) != 0 {
			t.Errorf("recorded %d, asked %q", len(w.recorded), w.calls)
		}
	}
}

func TestMirrorsLeadToTheGUN(t *testing.T) {
	w, q := newWorld(t), request()
	q.Image = "mirror.example.net/app:1"
	if d := decide(t, w, q).Decision; !d.Allowed() || d.GUN != "registry.example.com/app" {
		t.Errorf("%+v", d)
	}
}

func TestNoMoreEvidenceThanDemanded(t *testing.T) {
	w, q := newWorld(t), request()
	q.Environment = "signed-only"
	if d := decide(t, w, q).Decision; !d.Allowed() || len(w.calls) != 0 {
		t.Errorf("%v after %q", d.Outcome, w.calls)
	}
}

func TestCheckGivesNoTeamNoProfile(t *testing.T) {
	w, q := newWorld(t), request()
	q.Team, q.Door = "", "check"
	if d := decide(t, w, q).Decision; !d.Allowed() || d.Profile != nil {
		t.Errorf("%+v", d)
	}
}

func TestCancelledIsNoDecision(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gate.New(w.Config).Decide(ctx, request()); !fault.Is(err, fault.Unavailable) || len(w.recorded) > 0 {
		t.Errorf("%v, recorded %d", err, len(w.recorded))
	}
}

// TestCancelledInTheMiddle ends the context while evidence is gathered: what was
// not looked at to the end is neither allowed nor a denial for the log.
func TestCancelledInTheMiddle(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.Matcher = cancelling{matcher{w}, cancel}
	a, err := gate.New(w.Config).Decide(ctx, request())
	if !fault.Is(err, fault.Unavailable) || a.Decision.Allowed() || len(w.recorded) > 0 {
		t.Errorf("%v, %v, recorded %d", a.Decision.Outcome, err, len(w.recorded))
	}
}

type cancelling struct {
	gate.Matcher
	cancel func()
}

func (c cancelling) Match(ctx context.Context, inv *inventory.Inventory) ([]finding.Finding, time.Time, error) {
	c.cancel()
	return c.Matcher.Match(ctx, inv)
}

// TestRecordedInARealLog lets the gate write where it writes in earnest.
func TestRecordedInARealLog(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "audit")
	log, err := audit.Open(t.Context(), dir, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w.Recorder = log
	d := decide(t, w, request()).Decision
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	proof, err := r.Prove(d.Receipt.Index)
	if err != nil || proof.Leaf.String() != d.Receipt.Leaf || !strings.Contains(string(proof.Event), d.ID) {
		t.Errorf("%+v, %v: not the decision %+v", proof, err, d)
	}
}

func Example() {
	w := newWorld(&testing.T{})
	a, err := gate.New(w.Config).Decide(context.Background(), gate.Request{Image: "registry.example.com/app:1", Environment: "production", Door: "check"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Decision.Outcome)
	for _, r := range a.Decision.Reasons {
		fmt.Printf("%s: %s\n", r.Rule, r.Outcome)
	}
	// Output:
	// allowed
	// signed: allowed
	// scanned: allowed
	// exploited: not applicable
}
