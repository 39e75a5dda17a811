package trust

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// TestFormats: the list is signed, survives whatever is signed next, and is
// another repository's no more than the rest.
func TestFormats(t *testing.T) {
	w := newWorld(t)
	formats := func() []string {
		t.Helper()
		trusted, err := w.client(w.store).Inspect(t.Context(), w.gun, w.pins)
		w.must(err)
		defer trusted.Close()
		got, err := trusted.Formats()
		w.must(err)
		return got
	}
	if got := formats(); got != nil {
		t.Errorf("at first %q", got)
	}
	w.must(w.repo.SetFormats(t.Context(), []string{"sigstore", "notation"}))
	w.sign(RoleTargets, "v1", "a")
	w.delegate("security")
	w.sign("security", "v1", "a")
	if diff := cmp.Diff([]string{"sigstore", "notation"}, formats()); diff != "" {
		t.Error(diff)
	}
	w.must(w.repo.SetFormats(t.Context(), nil))
	if got := formats(); got != nil {
		t.Errorf("at last %q", got)
	}
	for _, bad := range [][]string{{"a", "a"}, {""}, {"A"}, {"a b"}, {"a", "b", "c", "d", "e", "f", "g", "h", "i"}} {
		if err := w.repo.SetFormats(t.Context(), bad); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestFormatsOfSomebodyElse are lists that another program signed.
func TestFormatsOfSomebodyElse(t *testing.T) {
	for _, v := range []any{"sigstore", []any{1}, []any{"A"}, make([]any, maxFormats+1)} {
		top := newTargets("registry.example.com/team/app")
		top.rest = map[string]any{formatsField: v}
		trusted := &Trusted{targets: &metadata[*targets]{Signed: top}}
		if got, err := trusted.Formats(); !fault.Is(err, fault.Untrusted) {
			t.Errorf("%v: %q, %v", v, got, err)
		}
	}
}

func TestSpeakers(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases", "security")
	trusted, err := w.client(w.store).Inspect(t.Context(), w.gun, w.pins)
	w.must(err)
	defer trusted.Close()
	got := map[string][]string{}
	var order []string
	for _, s := range trusted.Speakers() {
		order = append(order, s.Role)
		for _, k := range s.Keys {
			got[s.Role] = append(got[s.Role], k.Fingerprint)
		}
		if s.Threshold != 1 {
			t.Errorf("%s has the threshold %d", s.Role, s.Threshold)
		}
	}
	if diff := cmp.Diff([]string{"targets", "releases", "security"}, order); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{w.fingerprint("releases")}, got["releases"]); diff != "" {
		t.Error(diff)
	}
}

// TestSpeakersFor: a role that may name some tags has no say about others.
func TestSpeakersFor(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	w.newKey("dev")
	w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "dev", Keys: w.public("dev"), Threshold: 1, Paths: []string{"dev-*"}}))
	trusted, err := w.client(w.store).Inspect(t.Context(), w.gun, w.pins)
	w.must(err)
	defer trusted.Close()
	for name, want := range map[string][]string{
		":v1": {"targets", "releases"}, ":dev-1": {"targets", "releases", "dev"},
		"@sha256:" + strings.Repeat("0", 64): {"targets", "releases"},
	} {
		r, err := ref.Parse(string(w.gun) + name)
		w.must(err)
		speakers, err := trusted.SpeakersFor(r)
		w.must(err)
		var got []string
		for _, s := range speakers {
			got = append(got, s.Role)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestCertificates(t *testing.T) {
	s := NewRecords(t.TempDir())
	const gun, print = "registry.example.com/team/app", "sha256:01"
	if _, err := s.Certificates(gun, print); !fault.Is(err, fault.NotFound) {
		t.Errorf("nothing is there: %v", err)
	}
	if err := s.SaveCertificates(gun, print, []byte("pem")); err != nil {
		t.Fatal(err)
	}
	got, err := s.Certificates(gun, print)
	if err != nil || string(got) != "pem" {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.SaveCertificates(gun, print, make([]byte, maxCertificates+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("huge: %v", err)
	}
}

// TestBinsAreNoSpeakers: a role's bins say what the role says.
func TestBinsAreNoSpeakers(t *testing.T) {
	w := newWorld(t)
	w.must(w.repo.SetFormats(t.Context(), []string{"sigstore"}))
	w.must(w.repo.Sign(t.Context(), RoleTargets, images("v", many)...))
	trusted, err := w.client(w.store).Inspect(t.Context(), w.gun, w.pins)
	w.must(err)
	defer trusted.Close()
	r, err := ref.Parse(string(w.gun) + ":v1")
	w.must(err)
	speakers, err := trusted.SpeakersFor(r)
	w.must(err)
	if len(trusted.targets.Signed.Delegations.Roles) == 0 || len(trusted.Speakers()) != 1 || len(speakers) != 1 {
		t.Errorf("speakers are %v, for the image %v", trusted.Speakers(), speakers)
	}
	if got, err := trusted.Formats(); err != nil || len(got) != 1 {
		t.Errorf("formats are %q, %v", got, err)
	}
}
