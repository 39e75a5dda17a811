package trust

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

func (w *world) exposure(name string) *Exposure {
	w.Helper()
	t, err := w.client(w.store).Refresh(w.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(t.Close()) }()
	e, err := t.Exposure(w.Context(), strings.TrimPrefix(w.fingerprint(name), "sha256:")[:12])
	w.must(err)
	return e
}

func TestExposureOfARootKey(t *testing.T) {
	w := newWorld(t)
	w.newKey("root4")
	w.must(w.repo.Change(t.Context(), Changes{Replace: []Replacement{{Old: w.fingerprint("root1"), New: w.keys["root4"].key}}}))
	e := w.exposure("root1")
	want := []ExposedRole{{Role: RoleRoot, Threshold: 2, Keys: 3, FirstRoot: 1, LastRoot: 1}}
	if diff := cmp.Diff(want, e.Roles); diff != "" {
		t.Error(diff)
	}
	if len(e.Needs) != 0 || len(e.Signed) == 0 || e.Signed[0].Role != RoleRoot {
		t.Errorf("of a key that is gone: needs %v, signed %v", e.Needs, e.Signed)
	}
	e = w.exposure("root2")
	if diff := cmp.Diff([]ExposedRole{{Role: RoleRoot, Threshold: 2, Keys: 3, FirstRoot: 1}}, e.Roles); diff != "" || e.Roles[0].Alone() {
		t.Error(diff)
	}
	n := e.Needs[0]
	slices.Sort(n.Of)
	of := []string{w.fingerprint("root3"), w.fingerprint("root4")}
	slices.Sort(of)
	if diff := cmp.Diff(Recovery{Document: RoleRoot, Takes: 2, Of: of}, n); diff != "" {
		t.Error(diff)
	}
}

func TestExposureOfADelegatedKey(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	m := w.sign("releases", "v1", "a")
	e := w.exposure("releases")
	if len(e.Roles) != 1 || !e.Roles[0].Alone() || e.Roles[0].FirstRoot != 0 || len(e.Signed) != 1 {
		t.Fatalf("%+v", e)
	}
	want := []SignedName{{digestTarget(m.Digest), string(m.Digest)}, {"v1", string(m.Digest)}}
	if diff := cmp.Diff(want, e.Signed[0].Names); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Recovery{{Document: RoleTargets, Takes: 1, Of: []string{w.fingerprint("targets")}}}, e.Needs); diff != "" {
		t.Error(diff)
	}
}

// TestLastKey: the only key of a role cannot be taken away without itself.
func TestLastKey(t *testing.T) {
	w := newWorld(t)
	w.must(w.repo.Rotate(t.Context(), []string{RoleRoot}, w.public("root1"), 1))
	if n := w.exposure("root1").Needs; len(n) != 1 || n[0].WithIt != 1 {
		t.Errorf("needs %+v", n)
	}
	err := w.repo.Change(t.Context(), Changes{Replace: []Replacement{{Old: w.fingerprint("root1")}}})
	if !fault.Is(err, fault.Usage) {
		t.Errorf("removed the last root key: %v", err)
	}
}

func TestExposureOfNobody(t *testing.T) {
	w := newWorld(t)
	tr, err := w.client(w.store).Refresh(t.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(tr.Close()) }()
	for text, want := range map[string]fault.Kind{"abc": fault.Usage, "sha256:ab": fault.Usage, strings.Repeat("ab", 32): fault.NotFound} {
		if _, err := tr.Exposure(t.Context(), text); !fault.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// TestReplaceAStolenKey: what a thief may have signed is not signed again unless
// somebody looked at it.
func TestReplaceAStolenKey(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	good := w.sign("releases", "v1", "a")
	evil := w.sign("releases", "evil", "b")
	w.write(w.forged("releases", 2, func(s map[string]any) {
		custom := dig(s, "targets", digestTarget(good.Digest), "custom")
		list, _ := custom["platforms"].([]any)
		custom["platforms"] = append(list, map[string]any{"platform": "linux/evil", "manifest": string(evil.Platforms[0].Manifest), "config": "x", "chainID": "x"})
	}))
	w.newKey("releases2")
	w.must(w.repo.Change(t.Context(), Changes{
		Replace: []Replacement{{Old: w.fingerprint("releases"), New: w.keys["releases2"].key}},
		Sift:    []Sift{{Role: "releases", Images: []Image{good}}},
	}))
	s, err := w.ask(w.store, ":v1")
	w.must(err)
	if s.Roles["releases"] != good.Digest || s.Signers["releases"][0] != w.fingerprint("releases2") {
		t.Errorf("%+v", s)
	}
	for _, name := range []string{":evil", "@" + string(evil.Platforms[0].Manifest)} {
		if _, err := w.ask(w.store, name); !fault.Is(err, fault.NotFound) {
			t.Errorf("what the thief signed, %s: %v", name, err)
		}
	}
}

// forged returns the collection after a thief, who has the role's key and those
// of snapshot and timestamp, changed what the role says.
func (w *world) forged(role string, version int64, change func(s map[string]any)) files {
	w.Helper()
	f := w.files()
	w.forge(f, fileName(role, version), change, role)
	meta := map[string]int64{}
	for name := range f {
		var v int64
		var of string
		if n, err := fmt.Sscanf(name, "%d.%s", &v, &of); n == 2 && err == nil {
			if of = strings.TrimSuffix(of, ".json"); of != RoleRoot && of != RoleSnapshot {
				meta[of] = max(meta[of], v)
			}
		}
	}
	w.relink(f, 20, meta)
	return f
}

// TestSiftDropsDelegations: who has the key of targets may have made roles.
func TestSiftDropsDelegations(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases", "evil")
	w.sign("releases", "v1", "a")
	w.newKey("targets2")
	w.must(w.repo.Change(t.Context(), Changes{
		Replace: []Replacement{{Old: w.fingerprint("targets"), New: w.keys["targets2"].key}},
		Sift:    []Sift{{Role: RoleTargets, Roles: []string{"releases"}}},
	}))
	_, err := w.ask(w.store, ":v1")
	w.must(err)
	if e := w.exposure("releases"); len(e.Roles) != 1 {
		t.Errorf("%+v", e)
	}
	tr, err := w.client(w.store).Refresh(t.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(tr.Close()) }()
	if tr.targets.Signed.Delegations.role("evil") != nil {
		t.Error("a role that nobody kept is there")
	}
}

// TestFindKeyNotUnderstood: keys that are not understood have no fingerprint, and
// are not all one key.
func TestFindKeyNotUnderstood(t *testing.T) {
	odd := &Key{ID: "aabbccdd01", Type: "lattice", Scheme: "x"}
	other := &Key{ID: "aabbccdd02", Type: "lattice", Scheme: "x"}
	none := &Trusted{targets: &metadata[*targets]{Signed: &targets{}}}
	roots := []*metadata[*root]{{Signed: &root{Keys: keys{odd.ID: odd, other.ID: other}}}}
	if _, err := none.findKey(roots, "aabbccdd"); !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "fits 2 keys") {
		t.Errorf("two keys: %v", err)
	}
	if _, err := none.findKey(roots, odd.ID); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "not understood") {
		t.Errorf("one key: %v", err)
	}
}

// TestExposureBelowAnotherSignature: a thief signs alone, and then somebody else
// signs the next version with another key of the role, and the thief's names with
// it. They are shown all the same, and can be sifted.
func TestExposureBelowAnotherSignature(t *testing.T) {
	w := newWorld(t)
	w.newKey("stolen")
	w.newKey("daily")
	w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "releases", Keys: w.public("stolen", "daily"), Threshold: 1}))
	w.sign("releases", "evil", "b")
	w.offline("stolen")
	good := w.sign("releases", "v1", "a")
	e := w.exposure("stolen")
	if len(e.Signed) != 1 || !e.Signed[0].Since || len(e.Signed[0].Names) != 4 {
		t.Errorf("what the thief signed is not shown: %+v", e.Signed)
	}
	if e := w.exposure("daily"); len(e.Signed) != 1 || e.Signed[0].Since {
		t.Errorf("of the key that signed last: %+v", e.Signed)
	}
	if e := w.exposure("targets"); len(e.Signed) != 1 {
		t.Errorf("of another role's key: %+v", e.Signed)
	}
	w.must(w.repo.Change(t.Context(), Changes{
		Replace: []Replacement{{Old: w.fingerprint("stolen")}},
		Sift:    []Sift{{Role: "releases", Images: []Image{good}}},
	}))
	if _, err := w.ask(w.store, ":evil"); !fault.Is(err, fault.NotFound) {
		t.Errorf("what the thief signed: %v", err)
	}
}

// TestDroppedRoleIsMadeAgain: readers remember that there was a role, and the
// file that they were shown last was signed by keys that nobody has any more. The
// role begins anew all the same, bins included.
func TestDroppedRoleIsMadeAgain(t *testing.T) {
	for name, more := range map[string]int{"in one file": 0, "in bins": many} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.delegate("releases")
			w.must(w.repo.Sign(t.Context(), "releases", append(images("v", more), image("old", "a"))...))
			_, err := w.ask(w.store, ":old")
			w.must(err)
			w.must(w.repo.Change(t.Context(), Changes{Sift: []Sift{{Role: RoleTargets}}}))
			w.delegate("releases")
			m := image("new", "b")
			w.must(w.repo.Sign(t.Context(), "releases", append(images("v", more), m)...))
			s, err := w.ask(w.store, ":new")
			w.must(err)
			if s.Roles["releases"] != m.Digest {
				t.Errorf("%+v", s)
			}
			if _, err := w.ask(w.store, ":old"); !fault.Is(err, fault.NotFound) {
				t.Errorf("what it said before it was dropped: %v", err)
			}
		})
	}
}
