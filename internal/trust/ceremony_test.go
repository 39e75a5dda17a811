package trust

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// holds is what the machine that begins and finishes a ceremony can sign with.
func (w *world) holds(names ...string) func(*Key) bool {
	return func(k *Key) bool {
		for _, n := range names {
			if w.fingerprint(n) == k.Fingerprint {
				return true
			}
		}
		return false
	}
}

// propose begins a ceremony and takes its file to another machine.
func (w *world) propose(ch Changes) *Ceremony {
	w.Helper()
	if ch.Until.IsZero() {
		ch.Until = w.now.Add(14 * day)
	}
	if ch.Held == nil {
		ch.Held = w.holds("targets", "snapshot", "timestamp")
	}
	c, err := w.repo.Propose(w.Context(), ch)
	w.must(err)
	b, err := c.Marshal()
	w.must(err)
	again, err := ParseCeremony(b)
	w.must(err)
	if again.ID() != c.ID() {
		w.Fatal("a ceremony is another one after it was written")
	}
	return again
}

// answers are those of the named holders, each taken home in a file.
func (w *world) answers(c *Ceremony, names ...string) []*Answer {
	w.Helper()
	var all []*Answer
	for _, n := range names {
		a, err := c.Answer(w.Context(), w.keys[n])
		w.must(err)
		b, err := a.Marshal()
		w.must(err)
		a, err = ParseAnswer(b)
		w.must(err)
		all = append(all, a)
	}
	return all
}

// offline takes the root keys out of the keyring; what a holder signs with is
// still in w.keys.
func (w *world) offline(names ...string) {
	online := ring{}
	maps.Copy(online, w.keys)
	for _, n := range names {
		delete(online, n)
	}
	w.repo.cfg.Keys = online
}

func (w *world) finish(c *Ceremony, answers []*Answer) {
	w.Helper()
	published, err := w.repo.Finish(w.Context(), c, answers)
	w.must(err)
	if !published {
		w.Fatal("nothing was published")
	}
}

func TestCeremonyRotatesARoot(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	w.must(w.refresh(w.store))
	w.newKey("root4")
	w.offline("root1", "root2", "root3", "root4")
	c := w.propose(Changes{Replace: []Replacement{{Old: w.fingerprint("root3"), New: w.keys["root4"].key}}})
	if diff := cmp.Diff([]string{RoleRoot}, c.Documents()); diff != "" {
		t.Error(diff)
	}
	w.must(c.Meets(w.pins))

	_, err := w.repo.Finish(t.Context(), c, w.answers(c, "root1"))
	w.refused(err, "root takes 1 more of the keys of root 1")
	_, err = w.repo.Finish(t.Context(), c, w.answers(c, "root1", "root4"))
	w.refused(err, "root takes 1 more of the keys of root 1")
	w.sign(RoleTargets, "v2", "b") // a release in between does not matter
	answers := w.answers(c, "root1", "root4", "root2")
	w.finish(c, answers)
	again, err := w.repo.Finish(t.Context(), c, answers)
	if err != nil || again {
		t.Errorf("finished twice: published %t, %v", again, err)
	}

	w.must(w.refresh(w.store))
	s, err := w.ask(w.store, ":v2")
	w.must(err)
	if s.RootVersion != 2 || strings.Contains(strings.Join(s.RootKeys, " "), w.fingerprint("root3")) {
		t.Errorf("root %d with %v", s.RootVersion, s.RootKeys)
	}
}

func TestCeremonyStartsACollection(t *testing.T) {
	w := newWorld(t)
	w.gun, w.dir, w.state = otherGUN, t.TempDir(), t.TempDir()
	w.store = NewFolder(w.dir)
	client := NewClient(ClientConfig{Source: w.store, State: t.TempDir(), Now: func() time.Time { return w.now }})
	w.repo = NewRepository(RepositoryConfig{GUN: w.gun, Store: w.store, Client: client, Keys: w.keys})
	w.offline("root1", "root2", "root3")
	c := w.propose(Changes{Init: true, Roles: []RoleConfig{
		{Name: RoleRoot, Keys: w.public("root1", "root2", "root3"), Threshold: 2},
		{Name: RoleTargets, Keys: w.public("targets")},
		{Name: RoleSnapshot, Keys: w.public("snapshot")},
	}, Held: w.holds("targets", "snapshot")})
	if !c.Starts() || len(c.Documents()) != 1 {
		t.Errorf("starts %t, documents %v", c.Starts(), c.Documents())
	}
	w.must(c.Meets(Pins{}))
	answers := w.answers(c, "root2", "root3")
	w.finish(c, answers)
	again, err := w.repo.Finish(t.Context(), c, answers)
	if err != nil || again {
		t.Errorf("finished twice: published %t, %v", again, err)
	}
	w.pins = c.RootPins()
	w.must(w.refresh(w.store))
	other := w.propose2(Changes{Init: true})
	if !fault.Is(other, fault.Conflict) {
		t.Errorf("started twice: %v", other)
	}
}

// propose2 returns the error of a proposal.
func (w *world) propose2(ch Changes) error {
	ch.Until = w.now.Add(day)
	_, err := w.repo.Propose(w.Context(), ch)
	return err
}

// TestCeremonySignsAsARole: two holders of a 2-of-2 role, on two machines.
func TestCeremonySignsAsARole(t *testing.T) {
	w := newWorld(t)
	w.newKey("alice")
	w.newKey("bob")
	w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "security", Keys: w.public("alice", "bob"), Threshold: 2}))
	w.offline("alice", "bob")
	for version, tag := range []string{"v1", "v2"} {
		m := image(tag, tag)
		c := w.propose(Changes{As: "security", Images: []Image{m}})
		words := strings.Join(c.Words(), "\n")
		for _, want := range []string{"root 1 stays", "names " + tag + ": " + string(m.Digest), "config " + string(m.Platforms[0].Config)} {
			if !strings.Contains(words, want) {
				t.Errorf("%q is not in\n%s", want, words)
			}
		}
		w.finish(c, w.answers(c, "alice", "bob"))
		s, err := w.ask(w.store, ":"+tag)
		w.must(err)
		if s.Roles["security"] != m.Digest {
			t.Errorf("after %d: %v", version, s.Roles)
		}
	}
	c := w.propose(Changes{As: "security", Images: []Image{image("v3", "c")}})
	other := w.propose(Changes{As: "security", Images: []Image{image("v4", "d")}})
	w.finish(other, w.answers(other, "alice", "bob"))
	_, err := w.repo.Finish(t.Context(), c, w.answers(c, "alice", "bob"))
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "security was signed meanwhile") {
		t.Errorf("a role that moved on: %v", err)
	}
}

// TestCeremonyOfEveryRole: keys of all roles change at once, and those of targets
// and of a delegated role are not at hand afterwards.
func TestCeremonyOfEveryRole(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	w.sign("releases", "v1", "a")
	w.must(w.refresh(w.store))
	for _, n := range []string{"root5", "targets5", "targets6", "snapshot5", "timestamp5", "releases5"} {
		w.newKey(n)
	}
	w.offline("root1", "root2", "root5", "targets", "targets5", "targets6", "releases5")
	c := w.propose(Changes{Roles: []RoleConfig{
		{Name: RoleRoot, Keys: w.public("root1", "root5"), Threshold: 2},
		{Name: RoleTargets, Keys: w.public("targets5", "targets6"), Threshold: 2},
		{Name: RoleSnapshot, Keys: w.public("snapshot5")},
		{Name: RoleTimestamp, Keys: w.public("timestamp5")},
		{Name: "releases", Keys: w.public("releases5")},
		{Name: "qa", Keys: w.public("releases5")},
	}, Held: w.holds("snapshot5", "timestamp5")})
	if diff := cmp.Diff([]string{RoleRoot, RoleTargets, "releases"}, c.Documents()); diff != "" {
		t.Error(diff)
	}
	w.finish(c, w.answers(c, "root1", "root2", "root5", "targets5", "targets6", "releases5"))
	w.must(w.refresh(w.store))
	s, err := w.ask(w.store, ":v1")
	w.must(err)
	if diff := cmp.Diff([]string{w.fingerprint("releases5")}, s.Signers["releases"]); diff != "" {
		t.Error(diff)
	}
}

func TestCeremonyRefuses(t *testing.T) {
	w := newWorld(t)
	w.newKey("root4")
	w.offline("root1", "root2", "root3")
	swap := Changes{Replace: []Replacement{{Old: w.fingerprint("root3"), New: w.keys["root4"].key}}}
	c := w.propose(swap)
	finish := func(c *Ceremony, answers ...*Answer) error {
		_, err := w.repo.Finish(t.Context(), c, answers)
		return err
	}
	good := w.answers(c, "root1", "root2")

	if err := finish(c, good[0], good[1], good[0]); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "two answers are by key") {
		t.Errorf("doubled: %v", err)
	}
	altered := *good[1]
	altered.signatures = []answerSignature{{RoleRoot, good[0].signatures[0].sig}}
	w.refused(finish(c, good[0], &altered), "was altered")
	altered.signatures = nil
	w.refused(finish(c, good[0], &altered), "has 0 signatures")
	w.newKey("stranger")
	if _, err := c.Answer(t.Context(), w.keys["stranger"]); !fault.Is(err, fault.Denied) {
		t.Errorf("a stranger answers: %v", err)
	}
	stranger := &Answer{ceremony: c.ID(), fingerprint: w.fingerprint("stranger"), signatures: good[0].signatures}
	w.refused(finish(c, stranger), "which is not asked")
	renew := w.propose(Changes{Renew: true})
	w.refused(finish(c, good[0], w.answers(renew, "root2")[0]), "is to another ceremony")

	elsewhere := NewRepository(RepositoryConfig{GUN: otherGUN, Store: w.store, Client: w.repo.cfg.Client, Pins: w.pins, Keys: w.keys})
	if _, err := elsewhere.Finish(t.Context(), c, good); !fault.Is(err, fault.Usage) {
		t.Errorf("finished for another repository: %v", err)
	}
	w.refused(c.Meets(Pins{Threshold: 1, Keys: []string{w.fingerprint("stranger")}}), "does not begin with the keys that are pinned")

	w.finish(renew, w.answers(renew, "root1", "root2"))
	if err := finish(c, good...); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "root 2 was published meanwhile") {
		t.Errorf("another base: %v", err)
	}
	late := w.propose(swap)
	good = w.answers(late, "root1", "root2")
	w.now = w.now.Add(15 * day)
	if err := finish(late, good...); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "ended") {
		t.Errorf("after its end: %v", err)
	}
	if err := w.propose2(Changes{}); !fault.Is(err, fault.Usage) {
		t.Errorf("a ceremony about nothing: %v", err)
	}
	if err := w.propose2(Changes{Renew: true, Roles: []RoleConfig{{Name: RoleTargets, Paths: []string{"1.*"}}}}); !fault.Is(err, fault.Usage) {
		t.Errorf("paths of targets: %v", err)
	}
}

// TestCeremonyFileIsNotBelieved alters a ceremony's file in every way that would
// make a holder sign something else than they read.
func TestCeremonyFileIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	c := w.propose(Changes{Renew: true, Roles: []RoleConfig{{Name: "qa", Keys: w.public("root1")}}})
	file, err := c.Marshal()
	w.must(err)
	w.newKey("thief")
	w.newKey("new")
	tests := map[string]struct {
		change func(m map[string]any)
		words  string
	}{
		"words": {func(m map[string]any) { m["words"] = []any{"nothing to see"} }, "words are not those"},
		"until": {func(m map[string]any) { m["until"] = "2030-01-01T00:00:00Z" }, "words are not those"},
		"root's keys": {func(m map[string]any) {
			r := dig(m, "proposed", "root", "roles", "root")
			r["threshold"] = json.Number("1")
		}, "words are not those"},
		"expiry":                {func(m map[string]any) { dig(m, "proposed", "root")["expires"] = "2099-01-01T00:00:00Z" }, "words are not those"},
		"version":               {func(m map[string]any) { dig(m, "proposed", "root")["version"] = json.Number("3") }, "it has version 3"},
		"targets version":       {func(m map[string]any) { dig(m, "proposed", "targets")["version"] = json.Number("9") }, "it has version 9"},
		"repository":            {func(m map[string]any) { dig(m, "proposed", "root")[gunField] = string(otherGUN) }, "speaks for another repository"},
		"the file's repository": {func(m map[string]any) { m["gun"] = string(otherGUN) }, "speaks for another repository"},
		"not a repository":      {func(m map[string]any) { m["gun"] = "../../etc" }, "not the name of a repository"},
		"unknown field":         {func(m map[string]any) { dig(m, "proposed", "root")["x-more"] = "x" }, "cannot tell in words"},
		"a role of another specification": {func(m map[string]any) {
			roles := dig(m, "proposed", "root", "roles")
			roles["mirrors"] = roles["targets"]
		}, "cannot tell in words"},
		"a root's key without a role": {func(m map[string]any) {
			k := w.keys["new"].key
			dig(m, "proposed", "root", "keys")[k.ID] = k.object
		}, "cannot tell in words"},
		"a delegated key without a role": {func(m map[string]any) {
			k := w.keys["new"].key
			dig(m, "proposed", "targets", "delegations", "keys")[k.ID] = k.object
		}, "cannot tell in words"},
		"specification":             {func(m map[string]any) { dig(m, "proposed", "root")["spec_version"] = "1.99" }, "cannot tell in words"},
		"unknown field of the file": {func(m map[string]any) { m["run"] = "rm" }, "unknown fields"},
		"a key twice": {func(m map[string]any) {
			r := dig(m, "proposed", "root")
			dig(r, "keys")["again"] = dig(r, "keys", w.keys["targets"].key.ID)
			list(dig(r, "roles", "root"), w.keys["targets"].key.ID, "again")
		}, "cannot tell in words"},
		"a key that nobody understands": {func(m map[string]any) {
			r := dig(m, "proposed", "root")
			dig(r, "keys")["odd"] = map[string]any{"keytype": "odd", "scheme": "odd", "keyval": map[string]any{"public": "x"}}
			list(dig(r, "roles", "root"), "odd")
		}, "cannot tell in words"},
		"another key under an old name": {func(m map[string]any) {
			k := maps.Clone(w.keys["new"].key.object)
			k["x-more"] = "x"
			dig(m, "proposed", "root", "keys")[w.keys["targets"].key.ID] = k
		}, "cannot tell in words"},
		"no threshold": {func(m map[string]any) { dig(m, "proposed", "root", "roles", "targets")["threshold"] = json.Number("2") }, "takes 2 signatures and has 1 keys"},
		"snapshots":    {func(m map[string]any) { dig(m, "proposed", "root")["consistent_snapshot"] = false }, "must be consistent"},
		"another root": {func(m map[string]any) {
			roots, _ := m["roots"].([]any)
			first, _ := roots[0].(map[string]any)
			dig(first, "signed", "roles", "root")["threshold"] = json.Number("1")
		}, "0 of its keys signed"},
		"no chain":   {func(m map[string]any) { m["roots"] = []any{} }, "no chain of roots"},
		"no targets": {func(m map[string]any) { m["current"] = map[string]any{} }, "current targets metadata is missing"},
		"targets": {func(m map[string]any) {
			dig(m, "current", "targets", "signed", "targets")["v1"] = map[string]any{"length": json.Number("1"), "hashes": map[string]any{"sha256": strings.Repeat("00", 32)}}
		}, "0 of its keys signed"},
		"a target that says more": {func(m map[string]any) {
			dig(m, "proposed", "targets", "targets")["v2"] = map[string]any{"length": json.Number("1"), "hashes": map[string]any{"sha256": strings.Repeat("00", 32)}, "custom": map[string]any{"more": "x"}}
		}, "cannot tell in words"},
		"nothing":     {func(m map[string]any) { m["proposed"] = map[string]any{} }, "nothing is proposed"},
		"a timestamp": {func(m map[string]any) { m["proposed"] = map[string]any{"timestamp": dig(m, "proposed", "root")} }, "not a role that is signed"},
		"form":        {func(m map[string]any) { m["plimsoll"] = "ceremony/v2" }, "the file is"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := parseJSON(file)
			if err != nil {
				t.Fatal(err)
			}
			m, _ := v.(map[string]any)
			tt.change(m)
			b, err := encodeJSON(m)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseCeremony(b)
			if err == nil || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %q", err, tt.words)
			}
		})
	}
	if _, err := ParseCeremony(bytes.Repeat([]byte(" "), MaxCeremony+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("too long: %v", err)
	}
}

// list adds key IDs to a role.
func list(role map[string]any, ids ...string) {
	all, _ := role["keyids"].([]any)
	for _, id := range ids {
		all = append(all, id)
	}
	role["keyids"] = all
}

// dig returns an object within m.
func dig(m map[string]any, path ...string) map[string]any {
	for _, name := range path {
		m, _ = m[name].(map[string]any)
	}
	return m
}

func TestCeremonyWords(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	w.newKey("root4")
	c := w.propose(Changes{
		Roles:   []RoleConfig{{Name: "qa", Keys: w.public("root1"), Paths: []string{"rc-*"}}},
		Replace: []Replacement{{Old: w.fingerprint("root3"), New: w.keys["root4"].key}},
	})
	names := map[string]string{
		w.fingerprint("root1"): "ROOT1", w.fingerprint("root2"): "ROOT2", w.fingerprint("root3"): "ROOT3", w.fingerprint("root4"): "ROOT4",
		w.fingerprint("targets"): "TARGETS", w.fingerprint("snapshot"): "SNAPSHOT", w.fingerprint("timestamp"): "TIMESTAMP",
		digestOf(c.base().signed): "BASE", digestOf(c.current[RoleTargets].signed): "TOP", digestOf(c.root.message): "NEW-ROOT", digestOf(c.roles[RoleTargets].message): "NEW-TOP", c.Fingerprint(): "SHORT",
	}
	text := strings.Join(c.Words(), "\n")
	for long, name := range names {
		text = strings.ReplaceAll(text, long, name)
	}
	want := `ceremony for registry.example.com/payments/a, open until 2026-12-07 12:00 UTC
root 2 follows root 1 (BASE)
  role root: signed by 2 of 3 keys, as before
    stays: ecdsa ROOT1
    stays: ed25519 ROOT2
    comes: ecdsa ROOT4
    goes: ecdsa ROOT3
  role targets: signed by 1 of 1 keys, as before
    stays: ed25519 TARGETS
  role snapshot: signed by 1 of 1 keys, as before
    stays: ecdsa SNAPSHOT
  role timestamp: signed by 1 of 1 keys, as before
    stays: ed25519 TIMESTAMP
  root 2 expires 2027-11-23 12:00 UTC (before: 2027-11-23 12:00 UTC)
  bytes of root 2 to be signed: NEW-ROOT
targets 3 follows targets 2 (TOP)
  names 2 in all, 0 no longer
  role qa: signed by 1 of 1 keys
    number 1 of the delegated roles, may name ["rc-*"] [], terminating: false
    comes: ecdsa ROOT1
  targets 3 expires 2027-11-23 12:00 UTC (before: 2027-11-23 12:00 UTC)
  bytes of targets 3 to be signed: NEW-TOP
fingerprint of this ceremony, to be read out: SHORT`
	if diff := cmp.Diff(want, text); diff != "" {
		t.Error(diff)
	}
	if !c.SameFingerprint(strings.ToLower(c.Fingerprint())) || !c.SameFingerprint(strings.ReplaceAll(c.Fingerprint(), "-", "")) || c.SameFingerprint(c.Fingerprint()[:23]) || c.SameFingerprint("") {
		t.Error("fingerprints are compared wrongly")
	}
}

// TestCeremonyWordsOnOneLine: what the file calls things begins no line of its
// own, and looks like no other name.
func TestCeremonyWordsOnOneLine(t *testing.T) {
	w := newWorld(t)
	c := w.propose(Changes{Roles: []RoleConfig{{Name: "qa", Keys: w.public("root1"), Paths: []string{"\u0430*"}}}})
	p := c.roles[RoleTargets].signed
	p.Targets["v1\n  forged"] = target{Hashes: hashes{"sha256": strings.Repeat("00", 32), "x": "1\n  forged", "y\n  forged": "\x1b[2K"}}
	for _, line := range c.Words() {
		if strings.ContainsAny(line, "\n\x1b\u0430") {
			t.Errorf("%q", line)
		}
	}
}

// TestCeremonyKeepsWhatIsSigned: what another version of plimsoll signed into the
// root stays, and so do proofs about keys that stay.
func TestCeremonyKeepsWhatIsSigned(t *testing.T) {
	w, m := newWorld(t), newTokenMaker(t)
	w.repo.cfg.Makers = m.roots()
	f := w.files()
	w.forge(f, "1.root.json", func(s map[string]any) { s["x-future"] = "kept" }, "root1", "root2", "root3")
	w.write(f)
	w.repo.cfg.Client = NewClient(ClientConfig{Source: w.store, State: t.TempDir(), Now: func() time.Time { return w.now }})
	c := w.propose(Changes{Roles: []RoleConfig{{Name: RoleRoot, Keys: []*Key{m.attest(w.keys["root1"].key), w.keys["root2"].key, w.keys["root3"].key}}}})
	w.must(c.Honest(m.roots()))
	w.refused(c.Honest(key.BuiltinAttestationRoots()), "claims falsely")
	if text := strings.Join(c.Words(), "\n"); !strings.Contains(text, "stays, with another attestation: "+w.keys["root1"].key.Type+" "+w.fingerprint("root1")+", attested (sha256:") || strings.Contains(text, w.fingerprint("root2")+", attested") {
		t.Error(text)
	}
	w.finish(c, w.answers(c, "root1", "root3"))

	w.newKey("root4")
	c = w.propose(Changes{Replace: []Replacement{{Old: w.fingerprint("root3"), New: w.keys["root4"].key}}})
	if text := strings.Join(c.Words(), "\n"); !strings.Contains(text, "stays: "+w.keys["root1"].key.Type+" "+w.fingerprint("root1")+", attested (sha256:") {
		t.Error(text)
	}
	w.finish(c, w.answers(c, "root1", "root2"))
	if b := string(w.files()["3.root.json"]); !strings.Contains(b, `"x-future":"kept"`) || !strings.Contains(b, attestationsField) {
		t.Error("what was signed is gone")
	}

	forged := *w.keys["root2"].key
	forged.Attestation = m.attest(w.keys["root1"].key).Attestation
	err := w.propose2(Changes{Roles: []RoleConfig{{Name: RoleRoot, Keys: []*Key{&forged}, Threshold: 1}}})
	w.refused(err, "claims falsely")
}

// TestCeremonyMakesADroppedRole: a ceremony leaves it to finish, where the role's
// keys are held; otherwise it says why it cannot.
func TestCeremonyMakesADroppedRole(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	w.sign("releases", "old", "a")
	w.must(w.repo.Change(t.Context(), Changes{Sift: []Sift{{Role: RoleTargets}}}))
	w.newKey("releases")
	ch := Changes{Roles: []RoleConfig{{Name: "releases", Keys: w.public("releases")}}, Held: w.holds("releases", "snapshot", "timestamp")}
	c := w.propose(ch)
	if diff := cmp.Diff([]string{RoleTargets}, c.Documents()); diff != "" {
		t.Error(diff)
	}
	w.finish(c, w.answers(c, "targets"))
	m := w.sign("releases", "new", "b")
	if s, err := w.ask(w.store, ":new"); err != nil || s.Roles["releases"] != m.Digest {
		t.Errorf("%+v, %v", s, err)
	}
	w.must(w.repo.Change(t.Context(), Changes{Sift: []Sift{{Role: RoleTargets}}}))
	ch.As, ch.Images = "releases", []Image{image("x", "x")}
	if err := w.propose2(ch); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Errorf("with an image: %v, hint %q", err, fault.HintOf(err))
	}
}
