package trust

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// The attacks of TUF 1.0.34, section 1.5.2, in its words, and their tests:
//
//	arbitrary installation        TestArbitraryTarget, TestRepositorySwap
//	endless data                  TestEndlessData
//	extraneous dependencies       TestExtraneousDependencies, TestExtraneousKeys
//	fast-forward                  TestFastForwardRecovery, TestFastForwardPublished
//	indefinite freeze             TestFreeze, TestExpiredRole
//	malicious mirrors             TestMaliciousMirror
//	mix-and-match                 TestMixAndMatch
//	rollback                      TestRollback…
//	slow retrieval                TestSlowRetrieval
//	vulnerability to key          TestKeyCompromiseBelowThreshold, TestOnlineKeysCompromised,
//	compromises                   TestWrongThresholdOneKeyTwice, TestFormerRootKeys
//	wrong software installation   TestWrongTarget

// TestRepositorySwap: a registry serves one repository's metadata for another
// that has the same keys.
func TestRepositorySwap(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	stolen := w.files()
	_, err := w.client(stolen).Refresh(t.Context(), otherGUN, w.pins)
	w.refused(err, "another repository")

	t.Run("targets only", func(t *testing.T) {
		w := w.in(t)
		f := w.files()
		w.forge(f, "2.targets.json", func(s map[string]any) { s[gunField] = string(otherGUN) }, "targets")
		w.relink(f, 3, map[string]int64{RoleTargets: 2})
		w.refused(w.refresh(f), "another repository")
	})
	t.Run("no field", func(t *testing.T) {
		w := w.in(t)
		w.forget()
		f := w.files()
		w.forge(f, "2.targets.json", func(s map[string]any) { delete(s, gunField) }, "targets")
		w.relink(f, 3, map[string]int64{RoleTargets: 2})
		w.refused(w.refresh(f), "no repository")
	})
	t.Run("delegated role", func(t *testing.T) {
		w := w.in(t)
		w.forget()
		w.newKey("releases")
		w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "releases", Keys: w.public("releases"), Threshold: 1}))
		w.sign("releases", "v1", "a")
		f := w.files()
		w.forge(f, "1.releases.json", func(s map[string]any) { s[gunField] = string(otherGUN) }, "releases")
		w.relink(f, 9, map[string]int64{RoleTargets: 3, "releases": 1})
		s, err := w.ask(f, ":v1")
		w.must(err)
		w.refused(s.Errors["releases"], "another repository")
	})
}

// TestArbitraryTarget: somebody without the targets key changes what a tag is.
func TestArbitraryTarget(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	w.newKey("thief")
	evil := image("v1", "evil")
	change := func(s map[string]any) {
		list, _ := s["targets"].(map[string]any)
		list["v1"] = target{Length: evil.Size, Hashes: hashes{"sha256": evil.Digest.Encoded()}}.encode()
	}
	for name, by := range map[string][]string{"unsigned": nil, "own key": {"thief"}, "snapshot key": {"snapshot"}} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.forget()
			f := w.files()
			w.forge(f, "2.targets.json", change, by...)
			w.relink(f, 3, map[string]int64{RoleTargets: 2})
			w.refused(w.refresh(f), "targets metadata: 0 of its keys signed")
		})
	}
	t.Run("signature kept", func(t *testing.T) {
		w := w.in(t)
		w.forget()
		f := w.files()
		f["2.targets.json"] = []byte(strings.Replace(string(f["2.targets.json"]), `"length":1`, `"length":2`, 1))
		w.refused(w.refresh(f), "hash")
		w.relink(f, 3, map[string]int64{RoleTargets: 2})
		w.refused(w.refresh(f), "0 of its keys signed")
	})
}

func TestRollbackTimestamp(t *testing.T) {
	w := newWorld(t)
	old := w.files()
	w.sign(RoleTargets, "v1", "a")
	w.must(w.refresh(w.files()))
	w.refused(w.refresh(old), "timestamp metadata was rolled back to version 1, version 2")
	w.must(w.refresh(w.files()))
}

func TestRollbackSnapshot(t *testing.T) {
	w := newWorld(t)
	old := w.files()
	w.sign(RoleTargets, "v1", "a")
	w.must(w.refresh(w.files()))
	f := old.clone()
	w.stamp(f, 9, describe(old["1.snapshot.json"], 1))
	w.refused(w.refresh(f), "snapshot metadata was rolled back to version 1, version 2")
}

func TestRollbackTargets(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	w.must(w.refresh(w.files()))
	f := w.files()
	w.relink(f, 9, map[string]int64{RoleTargets: 1})
	w.refused(w.refresh(f), "targets metadata was rolled back to version 1, version 2")
}

func TestRollbackDelegation(t *testing.T) {
	w := newWorld(t)
	w.newKey("releases")
	w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "releases", Keys: w.public("releases"), Threshold: 1}))
	w.sign("releases", "v1", "a")
	w.sign("releases", "v1", "b")
	w.must(w.refresh(w.files()))
	f := w.files()
	w.relink(f, 9, map[string]int64{RoleTargets: 2, "releases": 1})
	w.refused(w.refresh(f), "releases metadata was rolled back to version 1, version 2")
	w.relink(f, 10, map[string]int64{RoleTargets: 2})
	w.refused(w.refresh(f), `no longer lists role "releases"`)
}

func TestRollbackRoot(t *testing.T) {
	w := newWorld(t)
	w.newKey("targets2")
	w.must(w.repo.Rotate(t.Context(), []string{RoleTargets}, w.public("targets2"), 0))
	w.must(w.refresh(w.files()))
	t.Run("older root under the next number", func(t *testing.T) {
		w := w.in(t)
		f := w.files()
		f["3.root.json"] = f["1.root.json"]
		w.refused(w.refresh(f), "it has version 1")
	})
	t.Run("chain cut before what was seen", func(t *testing.T) {
		w := w.in(t)
		f := w.files()
		delete(f, "2.root.json")
		w.must(w.refresh(f)) // root 2 is remembered: nothing is lost
	})
	t.Run("other pins, chain cut", func(t *testing.T) {
		w := w.in(t)
		f := w.files()
		delete(f, "2.root.json")
		pins := Pins{Threshold: 1, Keys: w.pins.Keys[:2]}
		_, err := w.client(f).Refresh(t.Context(), w.gun, pins)
		w.refused(err, "does not contain root 2")
	})
	t.Run("everything gone", func(t *testing.T) {
		w := w.in(t)
		w.refused(w.refresh(NewFolder(t.TempDir())), "was there before and is gone")
	})
}

// TestFreeze: only old metadata is shown; it expires.
func TestFreeze(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	w.must(w.refresh(w.files()))
	w.now = w.now.Add(7*day - time.Second)
	w.must(w.refresh(w.files()))
	w.now = w.now.Add(time.Second)
	err := w.refresh(w.files())
	w.refused(err, "snapshot metadata expired")
	if hint := fault.HintOf(err); !strings.Contains(hint, "plimsoll trust refresh") {
		t.Errorf("hint is %q", hint)
	}
	w.must(w.repo.Refresh(t.Context()))
	w.must(w.refresh(w.files()))
}

func TestExpiredRole(t *testing.T) {
	expire := func(s map[string]any) { s["expires"] = "2026-11-23T12:00:00Z" }
	tests := []struct {
		role  string
		forge func(w *world, f files)
	}{
		{"root", func(w *world, f files) { w.forge(f, "1.root.json", expire, "root1", "root2") }},
		{"timestamp", func(w *world, f files) { w.forge(f, "timestamp.json", expire, "timestamp") }},
		{"snapshot", func(w *world, f files) {
			w.forge(f, "2.snapshot.json", expire, "snapshot")
			w.stamp(f, 3, describe(f["2.snapshot.json"], 2))
		}},
		{"targets", func(w *world, f files) {
			w.forge(f, "2.targets.json", expire, "targets")
			w.relink(f, 3, map[string]int64{RoleTargets: 2, "releases": 1})
		}},
		{"releases", func(w *world, f files) {
			w.forge(f, "1.releases.json", expire, "releases")
			w.relink(f, 3, map[string]int64{RoleTargets: 2, "releases": 1})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			w := newWorld(t)
			w.newKey("releases")
			w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "releases", Keys: w.public("releases"), Threshold: 1}))
			w.sign("releases", "v1", "a")
			f := w.files()
			f["2.snapshot.json"] = f["3.snapshot.json"]
			w.forge(f, "2.snapshot.json", func(s map[string]any) { s["version"] = 2 }, "snapshot")
			tt.forge(w, f)
			_, err := w.ask(f, ":v1")
			w.refused(err, tt.role+" metadata expired at 2026-11-23T12:00:00Z")
		})
	}
}

// TestMixAndMatch: files that never were current together.
func TestMixAndMatch(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	one := w.files()
	w.sign(RoleTargets, "v1", "b")
	two := w.files()
	t.Run("old snapshot under the new name", func(t *testing.T) {
		w := w.in(t)
		f := two.clone()
		f["3.snapshot.json"] = one["2.snapshot.json"]
		w.refused(w.refresh(f), "snapshot metadata: ")
	})
	t.Run("old targets under the new name", func(t *testing.T) {
		w := w.in(t)
		f := two.clone()
		f["3.targets.json"] = one["2.targets.json"]
		w.refused(w.refresh(f), "targets metadata: ")
	})
	t.Run("without length and hashes", func(t *testing.T) {
		w := w.in(t)
		f := two.clone()
		f["3.targets.json"] = one["2.targets.json"]
		f["4.snapshot.json"] = w.file(w.signed(RoleSnapshot, 4, map[string]any{"meta": map[string]any{"targets.json": map[string]any{"version": 3}}}), "snapshot")
		w.stamp(f, 4, metaFile{Version: 4, Length: -1})
		w.refused(w.refresh(f), "targets metadata has version 2, 3 was promised")
	})
}

// TestEndlessData: files without end are read to their limit and no further.
func TestEndlessData(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	for _, name := range []string{"timestamp.json", "2.root.json", "2.snapshot.json", "2.targets.json"} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			f := w.files()
			f[name] = append(f[name], make([]byte, 65<<20)...)
			err := w.refresh(careless{f})
			if name == "2.snapshot.json" || name == "2.targets.json" {
				w.refused(err, "longer than")
				return
			}
			w.refused(err, "")
		})
	}
}

// careless is a source that ignores limits.
type careless struct{ files }

func (c careless) Load(context.Context, ref.GUN) (Collection, error) { return c, nil }
func (c careless) Read(ctx context.Context, name string, _ int64) ([]byte, error) {
	return c.files.Read(ctx, name, 1<<40)
}

// TestSlowRetrieval: a registry that answers a byte an hour does not hold a
// client for ever.
func TestSlowRetrieval(t *testing.T) {
	w := newWorld(t)
	c := NewClient(ClientConfig{Source: slow{}, State: w.state, Limits: Limits{Time: 50 * time.Millisecond}})
	if _, err := c.Refresh(t.Context(), w.gun, w.pins); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	w.must(w.refresh(w.files())) // and leaves no lock behind
}

type slow struct{}

func (slow) Load(context.Context, ref.GUN) (Collection, error) { return slow{}, nil }
func (slow) Read(ctx context.Context, _ string, _ int64) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestExtraneousDependencies: whoever owns the registry lets an image appear to
// have more platforms than its publisher signed.
func TestExtraneousDependencies(t *testing.T) {
	w := newWorld(t)
	good := w.sign(RoleTargets, "v1", "a")
	evil := image("v1", "evil").Platforms[0].Manifest
	add := func(s map[string]any) {
		list, _ := s["targets"].(map[string]any)
		one, _ := list[digestTarget(good.Digest)].(map[string]any)
		custom, _ := one["custom"].(map[string]any)
		platforms, _ := custom["platforms"].([]any)
		custom["platforms"] = append(platforms, map[string]any{"platform": "linux/riscv64", "manifest": string(evil)})
	}
	f := w.files()
	w.forge(f, "2.targets.json", add, "snapshot", "timestamp")
	w.relink(f, 3, map[string]int64{RoleTargets: 2})
	_, err := w.ask(f, "@"+string(evil))
	w.refused(err, "targets metadata: 0 of its keys signed")
	w.forget()
	if s, err := w.ask(w.files(), "@"+string(evil)); !fault.Is(err, fault.NotFound) {
		t.Errorf("what is signed says %v, %v", s, err)
	}
}

// TestWrongTarget: asked about one thing, a role answers about another, or one
// that does not speak for the name.
func TestWrongTarget(t *testing.T) {
	t.Run("digest that names another", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.sign(RoleTargets, "v1", "a"), image("v2", "b")
		f := w.files()
		w.forge(f, "2.targets.json", func(s map[string]any) {
			list, _ := s["targets"].(map[string]any)
			list[digestTarget(b.Digest)] = list[digestTarget(a.Digest)]
		}, "targets")
		w.relink(f, 3, map[string]int64{RoleTargets: 2})
		_, err := w.ask(f, "@"+string(b.Digest))
		w.refused(err, "names")
	})
	t.Run("role that does not speak for it", func(t *testing.T) {
		w := newWorld(t)
		w.newKey("nightly")
		w.must(w.repo.Delegate(t.Context(), RoleConfig{Name: "nightly", Keys: w.public("nightly"), Threshold: 1, Paths: []string{"nightly-*", "sha256/*"}}))
		w.sign("nightly", "nightly-1", "a")
		f := w.files()
		w.forge(f, "1.nightly.json", func(s map[string]any) {
			list, _ := s["targets"].(map[string]any)
			list["v1"] = list["nightly-1"]
		}, "nightly")
		w.relink(f, 9, map[string]int64{RoleTargets: 2, "nightly": 1})
		if s, err := w.ask(f, ":v1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("it says %v, %v", s, err)
		}
		if _, err := w.ask(f, ":nightly-1"); err != nil {
			t.Error(err)
		}
	})
}

// TestMaliciousMirror: a mirror withholds a file. The client says so, takes
// nothing on trust, and goes on when another mirror has it.
func TestMaliciousMirror(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	for _, name := range []string{"1.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.forget()
			f := w.files()
			delete(f, name)
			if err := w.refresh(f); !fault.Is(err, fault.Untrusted) {
				t.Fatalf("without it: %v", err)
			}
			w.must(w.refresh(w.files()))
		})
	}
}

// TestExtraneousKeys: keys that a root lists for no role, or for another role,
// sign nothing.
func TestExtraneousKeys(t *testing.T) {
	w := newWorld(t)
	w.newKey("stray")
	f := w.files()
	w.forge(f, "1.root.json", func(s map[string]any) {
		list, _ := s["keys"].(map[string]any)
		list[w.keys["stray"].key.ID] = w.keys["stray"].key.encode()
	}, "root1", "root2")
	w.forge(f, "1.targets.json", func(map[string]any) {}, "stray", "root1", "timestamp")
	w.relink(f, 2, map[string]int64{RoleTargets: 1})
	w.refused(w.refresh(f), "targets metadata: 0 of its keys signed")

	w.forge(f, "1.targets.json", func(map[string]any) {}, "stray", "targets")
	w.relink(f, 3, map[string]int64{RoleTargets: 1})
	w.must(w.refresh(f))
}

// TestWrongThresholdOneKeyTwice: one key signs twice, under one ID or two.
func TestWrongThresholdOneKeyTwice(t *testing.T) {
	t.Run("duplicate signature", func(t *testing.T) {
		w := newWorld(t)
		f := w.files()
		w.forge(f, "1.root.json", func(map[string]any) {}, "root1", "root1")
		w.refused(w.refresh(f), "a key ID occurs twice")
	})
	t.Run("duplicate key ID", func(t *testing.T) {
		w := newWorld(t)
		f := w.files()
		w.forge(f, "1.root.json", func(s map[string]any) {
			id := w.keys["root1"].key.ID
			roles, _ := s["roles"].(map[string]any)
			roles["root"] = map[string]any{"keyids": []string{id, id}, "threshold": 2}
		}, "root1")
		w.refused(w.refresh(f), "1 of its keys signed, it takes 2")
	})
	t.Run("two IDs", func(t *testing.T) {
		w := newWorld(t)
		k := w.keys["root1"]
		twin := *k.key
		twin.object = maps.Clone(k.key.object)
		twin.object["x-note"] = "the same key under another ID"
		var err error
		twin.ID, err = twin.hash()
		w.must(err)
		w.keys["twin"] = &softKey{private: k.private, key: &twin}
		f := w.files()
		w.forge(f, "1.root.json", func(s map[string]any) {
			list, _ := s["keys"].(map[string]any)
			list[twin.ID] = twin.encode()
			roles, _ := s["roles"].(map[string]any)
			roles["root"] = map[string]any{"keyids": []string{k.key.ID, twin.ID}, "threshold": 2}
		}, "root1", "twin")
		w.refused(w.refresh(f), "1 of its keys signed, it takes 2")
	})
}

// TestKeyCompromiseBelowThreshold: one of two needed root keys is stolen.
func TestKeyCompromiseBelowThreshold(t *testing.T) {
	w := newWorld(t)
	w.must(w.refresh(w.files()))
	w.newKey("thief")
	for name, by := range map[string][]string{"stolen": {"root1"}, "stolen and own": {"root1", "thief"}} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			f := w.files()
			f["2.root.json"] = f["1.root.json"]
			w.forge(f, "2.root.json", func(s map[string]any) {
				s["version"] = 2
				list, _ := s["keys"].(map[string]any)
				list[w.keys["thief"].key.ID] = w.keys["thief"].key.encode()
				roles, _ := s["roles"].(map[string]any)
				roles["root"] = map[string]any{"keyids": []string{w.keys["thief"].key.ID, w.keys["root1"].key.ID}, "threshold": 1}
			}, by...)
			w.refused(w.refresh(f), "by the keys of the root before it, metadata: 1 of its keys signed, it takes 2")
		})
	}
}

// TestOnlineKeysCompromised: who stole the keys of snapshot and timestamp can
// withhold what is new until it expires, and sign nothing for the others.
func TestOnlineKeysCompromised(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	f := w.files()
	f["3.targets.json"] = f["2.targets.json"]
	w.forge(f, "3.targets.json", func(s map[string]any) { s["version"] = 3 }, "snapshot", "timestamp")
	w.relink(f, 5, map[string]int64{RoleTargets: 3})
	w.refused(w.refresh(f), "targets metadata: 0 of its keys signed")
	f["2.root.json"] = f["1.root.json"]
	w.forge(f, "2.root.json", func(s map[string]any) { s["version"] = 2 }, "snapshot", "timestamp")
	w.refused(w.refresh(f), "root 2 metadata: 0 of its keys signed")
}

// TestFastForwardRecovery: a thief of the online keys signs the highest
// versions; after their rotation clients follow again.
func TestFastForwardRecovery(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	good := w.files()
	f := good.clone()
	w.relink(f, maxVersion, map[string]int64{RoleTargets: 2})
	w.must(w.refresh(f))
	w.refused(w.refresh(good), "rolled back")

	w.newKey("snapshot2")
	w.newKey("timestamp2")
	w.must(w.repo.Rotate(t.Context(), []string{RoleSnapshot}, w.public("snapshot2"), 0))
	w.must(w.repo.Rotate(t.Context(), []string{RoleTimestamp}, w.public("timestamp2"), 0))
	if _, err := w.ask(w.files(), ":v1"); err != nil {
		t.Fatalf("after the rotation: %v", err)
	}
}

// TestFastForwardPublished: the thief publishes the highest versions, of targets
// too. The publisher gets out by new keys in one command, and readers follow.
func TestFastForwardPublished(t *testing.T) {
	w := newWorld(t)
	w.sign(RoleTargets, "v1", "a")
	f := w.files()
	w.forge(f, "2.targets.json", func(s map[string]any) { s["version"] = json.Number(fmt.Sprint(int64(maxVersion))) }, "targets")
	f[fileName(RoleTargets, maxVersion)] = f["2.targets.json"]
	w.relink(f, maxVersion, map[string]int64{RoleTargets: maxVersion})
	w.write(f)
	w.must(w.refresh(w.store))

	for _, role := range []string{RoleTargets, RoleSnapshot, RoleTimestamp} {
		w.newKey(role + "2")
	}
	err := w.repo.Rotate(t.Context(), []string{RoleTargets}, w.public("targets2"), 0)
	w.refused(err, "highest version there is")
	if hint := fault.HintOf(err); !strings.Contains(hint, "in one command") {
		t.Errorf("hint is %q", hint)
	}
	w.must(w.repo.Rotate(t.Context(), []string{RoleTargets, RoleSnapshot, RoleTimestamp}, w.public("targets2"), 0))
	if _, err := w.ask(w.store, ":v1"); err != nil {
		t.Fatalf("after the rotation: %v", err)
	}
	w.sign(RoleTargets, "v2", "b")
	if _, err := w.ask(w.store, ":v2"); err != nil {
		t.Fatalf("the next image: %v", err)
	}
}

// TestRootSignedByUnnamedKey: pinned keys sign a root that does not name them.
func TestRootSignedByUnnamedKey(t *testing.T) {
	w := newWorld(t)
	w.newKey("thief")
	f := w.files()
	w.forge(f, "1.root.json", func(s map[string]any) {
		list, _ := s["keys"].(map[string]any)
		list[w.keys["thief"].key.ID] = w.keys["thief"].key.encode()
		roles, _ := s["roles"].(map[string]any)
		roles["root"] = map[string]any{"keyids": []string{w.keys["thief"].key.ID}, "threshold": 1}
	}, "thief", "root1", "root2")
	err := w.refresh(f)
	w.refused(err, "no root is signed by 2 of the 3 pinned keys")
	if hint := fault.HintOf(err); !strings.Contains(hint, "plimsoll trust pin") {
		t.Errorf("hint is %q", hint)
	}
}

// TestFormerRootKeys: whoever held the root keys before they were rotated, and
// owns the registry now, goes on from the last root that they could sign.
func TestFormerRootKeys(t *testing.T) {
	w := newWorld(t)
	former := w.files()
	for _, name := range []string{"new1", "new2", "new3"} {
		w.newKey(name)
	}
	w.must(w.repo.Rotate(t.Context(), []string{RoleRoot}, w.public("new1", "new2", "new3"), 2))
	bump := func(version int64) func(map[string]any) {
		return func(s map[string]any) { s["version"] = version }
	}

	t.Run("client that saw the rotation", func(t *testing.T) {
		w := w.in(t)
		w.must(w.refresh(w.files()))
		f := w.files()
		f["3.root.json"] = former["1.root.json"]
		w.forge(f, "3.root.json", bump(3), "root1", "root2", "root3")
		w.refused(w.refresh(f), "by the keys of the root before it")
	})
	t.Run("another root under the number of the rotation", func(t *testing.T) {
		w := w.in(t)
		w.must(w.refresh(w.files()))
		f := former.clone()
		f["2.root.json"] = former["1.root.json"]
		w.forge(f, "2.root.json", bump(2), "root1", "root2", "root3")
		_, err := w.client(f).Refresh(t.Context(), w.gun, Pins{Threshold: 1, Keys: w.pins.Keys})
		w.refused(err, "does not contain root 2")
	})
	t.Run("new client that pins the new keys", func(t *testing.T) {
		w := w.in(t)
		w.forget()
		f := former.clone()
		f["2.root.json"] = former["1.root.json"]
		w.forge(f, "2.root.json", func(s map[string]any) {
			s["version"] = int64(2)
			list, _ := s["keys"].(map[string]any)
			roles, _ := s["roles"].(map[string]any)
			ids := []string{w.keys["root1"].key.ID, w.keys["root2"].key.ID}
			for _, name := range []string{"new1", "new2"} { // named, which takes no consent of theirs
				list[w.keys[name].key.ID] = w.keys[name].key.encode()
				ids = append(ids, w.keys[name].key.ID)
			}
			roles["root"] = map[string]any{"keyids": ids, "threshold": 2}
		}, "root1", "root2")
		_, err := w.client(f).Refresh(t.Context(), w.gun, Pins{Threshold: 2, Keys: []string{w.fingerprint("new1"), w.fingerprint("new2")}})
		w.refused(err, "no root is signed by 2 of the 2 pinned keys")
	})
}

// TestRoleNamesWithoutCase: on a file system that takes "Root" and "root" for one
// name, a role that targets delegates to still has a file of its own.
func TestRoleNamesWithoutCase(t *testing.T) {
	w := newWorld(t)
	names := map[string]string{}
	for _, role := range []string{"root", "Root", "ROOT", "Timestamp", "timestamp", "a/b", "A/B", "%2f", "/", "\u212A", "k", "K"} {
		name := strings.ToLower(stateName(role))
		if other, twice := names[name]; twice {
			t.Errorf("%q and %q share the file %q", role, other, name)
		}
		names[name] = role
	}
	f, k := w.files(), w.keys["targets"].key
	w.forge(f, "1.targets.json", func(s map[string]any) {
		s["delegations"] = map[string]any{
			"keys":  map[string]any{k.ID: k.encode()},
			"roles": []any{map[string]any{"name": "Root", "keyids": []any{k.ID}, "threshold": 1, "terminating": false, "paths": []any{"*"}}},
		}
	}, "targets")
	list := (&targets{Targets: map[string]target{"v1": {Length: 1, Hashes: hashes{"sha256": strings.Repeat("0", 64)}}}}).encode()["targets"]
	f["1.Root.json"] = w.file(w.signed(RoleTargets, 1, map[string]any{"targets": list}), "targets")
	w.relink(f, 2, map[string]int64{RoleTargets: 1, "Root": 1})
	for range 2 {
		if _, err := w.ask(f, ":v1"); err != nil {
			t.Error(err)
		}
	}
	kept, err := os.ReadDir(filepath.Join(w.state, string(w.gun), collectionDir))
	w.must(err)
	seen := map[string]bool{}
	for _, e := range kept {
		seen[strings.ToLower(e.Name())] = true
	}
	if len(seen) != len(kept) || !seen["%52oot.json"] {
		t.Errorf("remembered in %v", kept)
	}
}
