package trust

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/key"
)

// TestAnnounce: what is announced before the first signature is what is then
// asked for.
func TestAnnounce(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	var announced map[string]int
	refuse := errors.New("not today")
	var answer error
	w.repo.cfg.Announce = func(_ context.Context, all []Asked) error {
		announced = map[string]int{}
		for _, a := range all {
			announced[a.Key.Fingerprint] += a.Signatures
		}
		return answer
	}
	counted := &countingRing{ring: w.keys, signed: map[string]int{}}
	w.repo.cfg.Keys = counted
	for name, tt := range map[string]struct {
		do   func() error
		keys map[string]int
	}{
		"one image": {func() error { return w.repo.Sign(t.Context(), "releases", image("v1", "a")) }, map[string]int{"releases": 1, "snapshot": 1, "timestamp": 1}},
		"500":       {func() error { return w.repo.Sign(t.Context(), "releases", images("v", 500)...) }, map[string]int{"releases": 1, "snapshot": 1, "timestamp": 1}},
		"refresh":   {func() error { return w.repo.Refresh(t.Context()) }, map[string]int{"snapshot": 1, "timestamp": 1}},
	} {
		clear(counted.signed)
		w.must(tt.do())
		want := map[string]int{}
		for k, n := range tt.keys {
			want[w.fingerprint(k)] = n
		}
		if diff := cmp.Diff(want, announced); diff != "" {
			t.Errorf("%s: announced: %s", name, diff)
		}
		if diff := cmp.Diff(want, counted.signed); diff != "" {
			t.Errorf("%s: signed: %s", name, diff)
		}
	}
	clear(counted.signed)
	w.must(w.repo.Sign(t.Context(), RoleTargets, images("t", many)...))
	if announced[w.fingerprint("targets")] < 20 {
		t.Errorf("bins were announced as %d signatures", announced[w.fingerprint("targets")])
	}
	if diff := cmp.Diff(announced, counted.signed); diff != "" {
		t.Errorf("bins: %s", diff)
	}
	clear(counted.signed)
	answer = refuse
	if err := w.repo.Refresh(t.Context()); !errors.Is(err, refuse) || len(counted.signed) > 0 {
		t.Errorf("%v, signed %v", err, counted.signed)
	}
}

// countingRing counts signatures by fingerprint.
type countingRing struct {
	ring
	signed map[string]int
}

func (r *countingRing) Signer(ctx context.Context, k *Key) (key.Signer, error) {
	s, err := r.ring.Signer(ctx, k)
	return &countingSigner{s, r, k.Fingerprint}, err
}

type countingSigner struct {
	key.Signer
	ring        *countingRing
	fingerprint string
}

func (s *countingSigner) Sign(ctx context.Context, message []byte) ([]byte, error) {
	s.ring.signed[s.fingerprint]++
	return s.Signer.Sign(ctx, message)
}
