package trust

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// write replaces what the store holds.
func (w *world) write(f files) {
	w.Helper()
	for name, b := range f {
		w.must(os.WriteFile(filepath.Join(w.dir, string(w.gun), collectionDir, name), b, 0o600))
	}
}

func (w *world) delegate(names ...string) {
	w.Helper()
	for _, n := range names {
		w.newKey(n)
		w.must(w.repo.Delegate(w.Context(), RoleConfig{Name: n, Keys: w.public(n), Threshold: 1}))
	}
}

func TestStatement(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases", "security")
	a := w.sign("releases", "v1", "a")
	b := w.sign("security", "v1", "b")
	w.sign("security", "", "a")

	s, err := w.ask(w.store, ":v1")
	w.must(err)
	if diff := cmp.Diff(map[string]ref.Digest{"releases": a.Digest, "security": b.Digest}, s.Roles); diff != "" {
		t.Error(diff)
	}
	if s.GUN != w.gun || s.RootVersion != 1 || !s.Expires.Equal(testTime.Add(7*day)) || len(s.RootKeys) != 3 {
		t.Errorf("statement is %+v", s)
	}
	s, err = w.ask(w.store, "@"+string(a.Digest))
	w.must(err)
	if diff := cmp.Diff(map[string]ref.Digest{"releases": a.Digest, "security": a.Digest}, s.Roles); diff != "" {
		t.Error(diff)
	}
	platform := a.Platforms[1].Manifest
	s, err = w.ask(w.store, "@"+string(platform))
	w.must(err)
	if s.Roles["releases"] != platform {
		t.Errorf("asked for a platform's manifest: %v", s.Roles)
	}
	for _, name := range []string{":v2", "@" + string(image("", "c").Digest)} {
		if _, err := w.ask(w.store, name); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRoleOfAnotherName: a role delegates to a role that is called like one of
// its betters. It does not answer for it.
func TestRoleOfAnotherName(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	w.sign("releases", "v1", "a")
	f := w.files()
	w.newKey("thief")
	w.forge(f, "1.releases.json", func(s map[string]any) {
		k := w.keys["thief"].key
		s["delegations"] = (&delegations{
			Keys:  keys{k.ID: k},
			Roles: []delegation{{Name: "security", keyRole: newKeyRole([]*Key{k}, 1), Paths: []string{"*"}}},
		}).encode()
	}, "releases")
	evil := newTargets(w.gun)
	m := image("v1", "evil")
	evil.Targets = m.targets()
	f["1.security.json"] = w.file(w.signed(RoleTargets, 1, map[string]any{"targets": evil.encode()["targets"]}), "thief")
	w.relink(f, 9, map[string]int64{RoleTargets: 2, "releases": 1, "security": 1})
	s, err := w.ask(f, ":v1")
	w.must(err)
	if _, ok := s.Roles["security"]; ok {
		t.Error("a role below releases answers as security")
	}
	w.forge(f, "1.releases.json", func(s map[string]any) { s["targets"] = map[string]any{} }, "releases")
	w.relink(f, 10, map[string]int64{RoleTargets: 2, "releases": 1, "security": 1})
	w.forget()
	tr, err := w.client(f).Refresh(t.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(tr.Close()) }()
	if role, _, err := tr.Decide(t.Context(), ref.Reference{Tag: "v1"}); role != "releases" || err != nil {
		t.Errorf("%q decides, on the word of releases: %v", role, err)
	}
}

// TestTerminating: what follows a terminating delegation is not asked.
func TestTerminating(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases", "security")
	w.sign("security", "v1", "a")
	w.sign("releases", "v2", "a")
	f := w.files()
	w.forge(f, "3.targets.json", func(s map[string]any) {
		d, _ := s["delegations"].(map[string]any)
		roles, _ := d["roles"].([]any)
		first, _ := roles[0].(map[string]any)
		first["terminating"] = true
	}, "targets")
	w.relink(f, 9, map[string]int64{RoleTargets: 3, "releases": 1, "security": 1})
	if _, err := w.ask(f, ":v1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("asked beyond a terminating delegation: %v", err)
	}
	tr, err := w.client(f).Refresh(t.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(tr.Close()) }()
	if _, err := tr.lookup(t.Context(), "v1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("looked beyond a terminating delegation: %v", err)
	}
	if f, err := tr.lookup(t.Context(), "v2"); err != nil || f.role != "releases" {
		t.Errorf("v2: %+v, %v", f, err)
	}
}

// TestCachedRoleIsVerifiedAgainstCurrentDelegator: a remembered role whose key
// was taken away counts for nothing, though its file did not change.
func TestCachedRoleIsVerifiedAgainstCurrentDelegator(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	w.sign("releases", "v1", "a")
	_, err := w.ask(w.store, ":v1")
	w.must(err)
	f := w.files()
	w.newKey("new")
	w.forge(f, "2.targets.json", func(s map[string]any) {
		k := w.keys["new"].key
		s["version"] = 3
		s["delegations"] = (&delegations{Keys: keys{k.ID: k}, Roles: []delegation{{Name: "releases", keyRole: newKeyRole([]*Key{k}, 1), Paths: []string{"*"}}}}).encode()
	}, "targets")
	f["3.targets.json"] = f["2.targets.json"]
	w.relink(f, 9, map[string]int64{RoleTargets: 3, "releases": 1})
	_, err = w.ask(f, ":v1")
	w.refused(err, "releases metadata: 0 of its keys signed")
}

func TestRotateEveryRole(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	w.sign("releases", "v1", "a")
	w.must(w.refresh(w.store))
	for _, role := range []string{RoleTargets, RoleSnapshot, RoleTimestamp, "releases", RoleRoot} {
		w.newKey("new " + role)
		ks := w.public("new " + role)
		if role == RoleRoot {
			ks = append(ks, w.public("root1")...)
		}
		w.must(w.repo.Rotate(t.Context(), []string{role}, ks, 0))
		if role != RoleRoot {
			delete(w.keys, role)
		}
		if _, err := w.ask(w.store, ":v1"); err != nil {
			t.Fatalf("after the rotation of %s: %v", role, err)
		}
	}
	w.sign("releases", "v1", "b")
	w.forget()
	_, err := w.ask(w.store, ":v1")
	w.must(err)
}

func TestTooFewKeysAtHand(t *testing.T) {
	w := newWorld(t)
	before := w.files()
	delete(w.keys, "root1")
	delete(w.keys, "root2")
	w.newKey("new")
	err := w.repo.Rotate(t.Context(), []string{RoleTargets}, w.public("new"), 0)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), `role "root" takes signatures by 2 of its 3 keys, 1 are at hand`) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, w.files()); diff != "" {
		t.Errorf("something was published: %s", diff)
	}
}

func TestRefusedChanges(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	ctx := t.Context()
	for name, tt := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"init twice":    {w.repo.Init(ctx, InitConfig{Root: w.public("root1"), RootThreshold: 1, Targets: w.public("targets")}), fault.Conflict},
		"unknown role":  {w.repo.Sign(ctx, "nobody", image("v1", "a")), fault.NotFound},
		"sha512":        {w.repo.Sign(ctx, RoleTargets, Image{Digest: ref.Digest("sha512:" + strings.Repeat("a", 128)), Size: 1, Platforms: []Platform{{}}}), fault.Invalid},
		"no platforms":  {w.repo.Sign(ctx, RoleTargets, Image{Digest: image("", "a").Digest, Size: 1}), fault.Invalid},
		"role root":     {w.repo.Delegate(ctx, RoleConfig{Name: RoleRoot, Keys: w.public("root1"), Threshold: 1}), fault.Usage},
		"role ../x":     {w.repo.Delegate(ctx, RoleConfig{Name: "../x", Keys: w.public("root1"), Threshold: 1}), fault.Usage},
		"one key twice": {w.repo.Delegate(ctx, RoleConfig{Name: "qa", Keys: w.public("root1", "root1"), Threshold: 2}), fault.Usage},
		"threshold 2":   {w.repo.Rotate(ctx, []string{"releases"}, w.public("root1"), 2), fault.Usage},
		"no pattern":    {w.repo.Delegate(ctx, RoleConfig{Name: "qa", Keys: w.public("root1"), Threshold: 1, Paths: []string{""}}), fault.Usage},
		"long pattern":  {w.repo.Delegate(ctx, RoleConfig{Name: "qa", Keys: w.public("root1"), Threshold: 1, Paths: []string{strings.Repeat("x", maxPath+1)}}), fault.Usage},
		"rotate nobody": {w.repo.Rotate(ctx, []string{"nobody"}, w.public("root1"), 0), fault.NotFound},
	} {
		if !fault.Is(tt.err, tt.want) {
			t.Errorf("%s: %v (%v), want %v", name, tt.err, fault.KindOf(tt.err), tt.want)
		}
	}
}

// TestPathsOfARole: a role does not sign what nobody would ask it for.
func TestPathsOfARole(t *testing.T) {
	w := newWorld(t)
	w.newKey("qa")
	w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "qa", Keys: w.public("qa"), Threshold: 1, Paths: []string{"qa-*", "sha256/*"}}))
	if err := w.repo.Sign(t.Context(), "qa", image("v1", "a")); !fault.Is(err, fault.Denied) {
		t.Errorf("got %v", err)
	}
	w.sign("qa", "qa-1", "a")
}

// TestEightPublishers: nobody's signature is lost, no version is issued twice.
func TestEightPublishers(t *testing.T) {
	w := newWorld(t)
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() {
			tag := string(rune('a' + i))
			errs[i] = w.repo.Sign(t.Context(), RoleTargets, image(tag, tag))
		})
	}
	wait.Wait()
	w.must(errors.Join(errs...))
	for i := range errs {
		if _, err := w.ask(w.store, ":"+string(rune('a'+i))); err != nil {
			t.Error(err)
		}
	}
	if f := w.files(); f["9.targets.json"] == nil || f["10.targets.json"] != nil {
		t.Error("not one version for each signature")
	}
}

// TestDamagedState: what a client remembers is never reset silently.
func TestDamagedState(t *testing.T) {
	for _, name := range []string{"root.json", "timestamp.json", "snapshot.json", "pins"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must(w.refresh(w.store))
			file := filepath.Join(w.state, string(w.gun), collectionDir, name)
			b, err := os.ReadFile(file)
			w.must(err)
			w.must(os.WriteFile(file, b[:len(b)/2], 0o600))
			err = w.refresh(w.store)
			w.refused(err, "is damaged")
			if hint := fault.HintOf(err); !strings.Contains(hint, "removing the folder") {
				t.Errorf("hint is %q", hint)
			}
		})
	}
	t.Run("targets", func(t *testing.T) { // only a cache
		w := newWorld(t)
		w.must(w.refresh(w.store))
		w.must(os.WriteFile(filepath.Join(w.state, string(w.gun), collectionDir, "targets.json"), []byte("x"), 0o600))
		w.must(w.refresh(w.store))
	})
}

// TestNewPinsKeepMemory: a policy that pins other keys of the same chain does
// not make a client forget which versions it saw.
func TestNewPinsKeepMemory(t *testing.T) {
	w := newWorld(t)
	old := w.files()
	w.sign(RoleTargets, "v1", "a")
	w.must(w.refresh(w.store))
	w.pins = Pins{Threshold: 1, Keys: w.pins.Keys[1:2]}
	w.refused(w.refresh(old), "rolled back")
	w.must(w.refresh(w.store))
}

func TestRecordsAndPins(t *testing.T) {
	dir := t.TempDir()
	records := NewRecords(filepath.Join(dir, "publisher"))
	r, err := records.Load(testGUN)
	if err != nil || len(r.Keys) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	r.Hold(HeldKey{"sha256:aa", "file:a"})
	r.Hold(HeldKey{"sha256:aa", "file:b"})
	r.Expiries = map[string]string{RoleSnapshot: "48h0m0s"}
	if err := records.Save(r); err != nil {
		t.Fatal(err)
	}
	again, err := records.Load(testGUN)
	if diff := cmp.Diff(r, again); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if e, err := again.Times(); err != nil || e[RoleSnapshot] != 48*time.Hour {
		t.Errorf("%v, %v", e, err)
	}
	info, err := os.Stat(filepath.Join(dir, "publisher", string(testGUN), recordFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	pins := NewPinFile(dir)
	if _, err := pins.Pins(testGUN); !fault.Is(err, fault.Untrusted) || fault.HintOf(err) == "" {
		t.Errorf("without pins: %v", err)
	}
	one := Pins{1, []string{"sha256:" + strings.Repeat("a", 64)}}
	two := Pins{1, []string{"sha256:" + strings.Repeat("b", 64)}}
	for _, step := range []struct {
		set  Pins
		keep bool
		want Pins
	}{{one, true, one}, {two, true, one}, {two, false, two}} {
		if err := pins.Set(t.Context(), testGUN, step.set, step.keep); err != nil {
			t.Fatal(err)
		}
		if got, err := pins.Pins(testGUN); err != nil || !got.equal(step.want) {
			t.Errorf("%v, %v; want %v", got, err, step.want)
		}
	}
}
