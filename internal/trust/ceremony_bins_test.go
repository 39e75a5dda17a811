package trust

import (
	"fmt"
	"testing"

	"plimsoll/internal/fault"
)

// crowd lets a role name so much that it keeps it in bins.
func (w *world) crowd(role string) []Image {
	w.Helper()
	var all []Image
	for i := range maxUnbinned/2 + 1 {
		all = append(all, image(fmt.Sprintf("v%d", i), fmt.Sprint(role, i)))
	}
	w.must(w.repo.Sign(w.Context(), role, all...))
	return all
}

// TestCeremonyWithBins: the key of targets, which keeps its names in bins, is
// replaced by a root ceremony, and every bin is signed again.
func TestCeremonyWithBins(t *testing.T) {
	w := newWorld(t)
	all := w.crowd(RoleTargets)
	w.must(w.refresh(w.store))
	w.newKey("targets2")
	w.offline("root1", "root2", "root3", "targets")
	c := w.propose(Changes{Replace: []Replacement{{Old: w.fingerprint("targets"), New: w.keys["targets2"].key}}, Held: w.holds("targets2", "snapshot", "timestamp")})
	if len(c.Documents()) != 1 {
		t.Errorf("documents %v", c.Documents())
	}
	w.finish(c, w.answers(c, "root1", "root2"))
	for _, i := range []int{0, len(all) / 2, len(all) - 1} {
		s, err := w.ask(w.store, ":"+all[i].Tag)
		w.must(err)
		if s.Roles[RoleTargets] != all[i].Digest || s.Signers[RoleTargets][0] != w.fingerprint("targets2") {
			t.Errorf("%s: %+v", all[i].Tag, s)
		}
	}
}

// TestCeremonySignsIntoABin: two holders of a role that keeps its names in bins
// sign the bins that change.
func TestCeremonySignsIntoABin(t *testing.T) {
	w := newWorld(t)
	w.newKey("alice")
	w.newKey("bob")
	w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "security", Keys: w.public("alice", "bob"), Threshold: 2}))
	w.crowd("security")
	w.offline("alice", "bob")
	m := image("new", "new")
	c := w.propose(Changes{As: "security", Images: []Image{m}})
	if n := len(c.Documents()); n < 2 || n > 6 {
		t.Errorf("documents %v", c.Documents())
	}
	w.finish(c, w.answers(c, "alice", "bob"))
	s, err := w.ask(w.store, ":new")
	w.must(err)
	if s.Roles["security"] != m.Digest {
		t.Errorf("%+v", s)
	}
}

// TestSiftBins: what a thief put into bins goes, whatever it is.
func TestSiftBins(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	all := w.crowd("releases")
	w.newKey("releases2")
	if e := w.exposure("releases"); len(e.Signed) != 1 || len(e.Signed[0].Names) != 2*len(all) || len(e.Signed[0].Roles) != 0 {
		t.Errorf("%d files signed", len(e.Signed))
	}
	w.must(w.repo.Change(t.Context(), Changes{
		Replace: []Replacement{{Old: w.fingerprint("releases"), New: w.keys["releases2"].key}},
		Sift:    []Sift{{Role: "releases", Images: all[:1]}},
	}))
	s, err := w.ask(w.store, ":"+all[0].Tag)
	w.must(err)
	if s.Roles["releases"] != all[0].Digest {
		t.Errorf("%+v", s)
	}
	for _, name := range []string{":" + all[1].Tag, "@" + string(all[1].Digest), "@" + string(all[1].Platforms[0].Manifest)} {
		if _, err := w.ask(w.store, name); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
