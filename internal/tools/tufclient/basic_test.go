package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

func TestBasicInitAsksNobody(t *testing.T) {
	c := newClient(newRepo(t))
	c.asked()
	c.trusts("root 1")
}

func TestBasicRefresh(t *testing.T) {
	c := newClient(newRepo(t))
	c.must(c.refresh())
	c.asked("root 2", "timestamp", "snapshot 1", "targets 1")
	c.trusts("root 1, snapshot 1, targets 1, timestamp 1")
}

// TestBasicRefreshAgain: what is trusted already is not fetched again.
func TestBasicRefreshAgain(t *testing.T) {
	c := newClient(newRepo(t))
	c.must(c.refresh())
	c.repo.asked()
	c.must(c.refresh())
	c.asked("root 2", "timestamp")
}

// TestBasicBytes: metadata is stored as it came.
func TestBasicBytes(t *testing.T) {
	r := newRepo(t)
	r.files["timestamp"][0] = append(r.files["timestamp"][0], "\n \n"...)
	c := newClient(r)
	c.must(c.refresh())
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		got, err := os.ReadFile(filepath.Join(c.meta, role+".json"))
		c.must(err)
		if string(got) != string(r.newest(role)) {
			t.Errorf("%s was changed", role)
		}
	}
}

func TestBasicDownloadRefreshesFirst(t *testing.T) {
	c := newClient(newRepo(t))
	c.refused(c.download("no such target"), "names")
	c.asked("root 2", "timestamp", "snapshot 1", "targets 1")
	c.trusts("root 1, snapshot 1, targets 1, timestamp 1")
}

// TestBasicBadInitialRoot: a root that is malformed, or that its own keys did not
// sign, is neither taken nor used, and nobody is asked.
func TestBasicBadInitialRoot(t *testing.T) {
	tests := map[string]func(file object){
		"no version": func(f object) { delete(child(f, "signed"), "version") },
		"signature of another": func(f object) {
			all, _ := f["signatures"].([]any)
			s, _ := all[0].(object)
			s["sig"] = "3045022100ee448afe2d25dd1f"
		},
		"no signature": func(f object) { f["signatures"] = []any{} },
		"changed":      func(f object) { child(f, "signed")["expires"] = date(31 * day) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.swap("root", change)
			c := &client{TB: t, repo: r, meta: t.TempDir(), now: today}
			c.refused(c.init(r.newest("root")), "root metadata")
			c.must(os.WriteFile(filepath.Join(c.meta, "root.json"), r.newest("root"), 0o600))
			c.refused(c.refresh(), "root metadata")
			c.asked()
		})
	}
}

// TestBasicUnsigned: each role that lacks its signature is refused, and what was
// verified before it stays.
func TestBasicUnsigned(t *testing.T) {
	tests := map[string]string{
		"root":      "root 1",
		"timestamp": "root 2",
		"snapshot":  "root 2, timestamp 2",
		"targets":   "root 2, snapshot 2, timestamp 2",
	}
	for role, trusted := range tests {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.signers[role] = nil
			r.publish("root", "targets", "snapshot", "timestamp")
			c.refused(c.refresh(), role)
			c.trusts(trusted)
		})
	}
}

// TestBasicVersionIsExact: the version inside is the one that was asked for.
func TestBasicVersionIsExact(t *testing.T) {
	tests := map[string]string{
		"root":     "root 1",
		"snapshot": "root 2, timestamp 2",
		"targets":  "root 2, snapshot 2, timestamp 2",
	}
	for role, trusted := range tests {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			publishAs := func(role string, n int) {
				r.signed[role]["version"] = n - 1
				r.publish(role)
			}
			for _, name := range []string{"root", "targets", "snapshot", "timestamp"} {
				if name != role {
					r.publish(name)
					continue
				}
				publishAs(name, 3)
				for file, in := range map[string]string{"snapshot.json": "timestamp", "targets.json": "snapshot"} {
					if meta := child(child(r.signed[in], "meta"), file); file == role+".json" {
						meta["version"] = 2
					}
				}
			}
			c.refused(c.refresh(), "version 3")
			c.trusts(trusted)
		})
	}
}

// TestBasicSameTimestampVersion: other content under the same version changes
// nothing (5.4.3.1).
func TestBasicSameTimestampVersion(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	c.must(c.refresh())
	was := r.newest("timestamp")
	child(child(r.signed["timestamp"], "meta"), "snapshot.json")["version"] = 100
	r.again("timestamp")
	r.asked()
	c.must(c.refresh())
	c.asked("root 2", "timestamp")
	got, err := os.ReadFile(filepath.Join(c.meta, "timestamp.json"))
	c.must(err)
	if string(got) != string(was) {
		t.Error("the timestamp was replaced")
	}
}

func TestBasicMetadataHashes(t *testing.T) {
	for name, wrong := range map[string]object{
		"hash":         {"hashes": object{"sha256": "46419349341cfb2d95f6ae3d4cd5c3d3dd7f4673985dad42a45130be5e0531a0"}},
		"length":       {"length": 17},
		"unknown hash": {"hashes": object{"md17": "00"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.hashes = true
			c := newClient(r)
			r.publish("targets", "snapshot", "timestamp")
			c.must(c.refresh())
			r.publish("targets")
			maps.Copy(child(child(r.signed["snapshot"], "meta"), "targets.json"), wrong)
			r.publish("snapshot", "timestamp")
			c.refused(c.refresh(), "targets metadata")
			c.trusts("root 1, snapshot 3, targets 2, timestamp 3")
		})
	}
}

// TestBasicPromisedOnly: a file that snapshot does not promise yet is not fetched.
func TestBasicPromisedOnly(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	c.must(c.refresh())
	r.publish("targets")
	r.asked()
	c.must(c.refresh())
	c.asked("root 2", "timestamp")
	c.trusts("root 1, snapshot 1, targets 1, timestamp 1")
}

// TestBasicUnknownFields: fields that nobody knows are part of what is signed.
func TestBasicUnknownFields(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	k := newKey(t)
	k.key["x-tuf-on-ci-keyowner"] = object{"a": 1, "b": []any{2, nil, true}}
	k.key["keyid_hash_algorithms"] = "md5"
	k.id = keyID(t, k.key)
	r.rekey("snapshot", 1, k)
	r.role("snapshot")["x-tuf-on-ci-expiry-period"] = 7300
	r.signed["root"]["custom"] = "value"
	r.publish("root", "snapshot", "timestamp")
	c.must(c.refresh())
	c.trusts("root 2, snapshot 2, targets 1, timestamp 2")
}

// TestBasicMissing: a file that was promised and is not there.
func TestBasicMissing(t *testing.T) {
	t.Run("timestamp", func(t *testing.T) {
		r := newRepo(t)
		c := newClient(r)
		c.must(c.refresh())
		r.asked()
		delete(r.files, "timestamp")
		c.refused(c.refresh(), `"timestamp.json" is missing`)
		c.asked("root 2", "timestamp")
		c.trusts("root 1, snapshot 1, targets 1, timestamp 1")
	})
	t.Run("snapshot", func(t *testing.T) {
		r := newRepo(t)
		c := newClient(r)
		c.must(c.refresh())
		r.asked()
		child(child(r.signed["timestamp"], "meta"), "snapshot.json")["version"] = 2
		r.publish("timestamp")
		c.refused(c.refresh(), `"2.snapshot.json" is missing`)
		c.asked("root 2", "timestamp", "snapshot 2")
		c.trusts("root 1, snapshot 1, targets 1, timestamp 2")
	})
	t.Run("targets", func(t *testing.T) {
		r := newRepo(t)
		c := newClient(r)
		c.must(c.refresh())
		r.asked()
		child(child(r.signed["snapshot"], "meta"), "targets.json")["version"] = 2
		r.publish("snapshot", "timestamp")
		c.refused(c.refresh(), `"2.targets.json" is missing`)
		c.asked("root 2", "timestamp", "snapshot 2", "targets 2")
		c.trusts("root 1, snapshot 2, targets 1, timestamp 2")
	})
}

// TestBasicType: a snapshot that timestamp's key signed is no timestamp.
func TestBasicType(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.addKey("snapshot", r.signers["timestamp"][0])
	child(r.signed["snapshot"], "meta")["snapshot.json"] = object{"version": 1}
	delete(child(r.signed["snapshot"], "meta"), "targets.json")
	r.publish("root", "snapshot")
	r.files["timestamp"] = append(r.files["timestamp"], r.newest("snapshot"))
	c.refused(c.refresh(), "_type")
	c.trusts("root 2")
}

// TestBasicConsistentSnapshotOff: files have no version in their names, but the
// root's.
func TestBasicConsistentSnapshotOff(t *testing.T) {
	for name, set := range map[string]func(root object){
		"false":  func(root object) { root["consistent_snapshot"] = false },
		"absent": func(root object) { delete(root, "consistent_snapshot") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			set(r.signed["root"])
			r.add("targets", "dir/file", "content")
			r.delegate("targets", "other", nil)
			r.publish("other", "targets", "snapshot", "timestamp", "root")
			c.must(c.download("dir/file"))
			c.asked("root 2", "root 3", "timestamp", "snapshot", "targets", "artifact dir/file")
			c.refused(c.download("elsewhere"), "names")
			c.asked("root 3", "timestamp", "other")
			c.trusts("other 1, root 2, snapshot 2, targets 2, timestamp 2")
		})
	}
}

// TestBasicManyRoots: a client that slept for long follows the chain.
func TestBasicManyRoots(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	for range 40 {
		r.publish("root")
	}
	c.must(c.refresh())
	c.trusts("root 41, snapshot 1, targets 1, timestamp 1")
}

// TestBasicJSON: what is no JSON, or could be read in two ways, is refused.
func TestBasicJSON(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"cut":       func(b []byte) []byte { return b[:len(b)/2] },
		"trailing":  func(b []byte) []byte { return append(b, '{') },
		"empty":     func([]byte) []byte { return nil },
		"duplicate": func(b []byte) []byte { return append([]byte(`{"signed":{},`), b[1:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.publish("timestamp")
			r.files["timestamp"][1] = change(r.files["timestamp"][1])
			if json.Valid(r.files["timestamp"][1]) && name != "duplicate" {
				t.Fatal("still JSON")
			}
			c.refused(c.refresh(), "timestamp metadata")
			c.trusts("root 1")
		})
	}
}

// TestBasicLocalFilesSpoiled: what lies in the folder and does not verify counts
// for nothing, and is read again; but the root is where trust starts.
func TestBasicLocalFilesSpoiled(t *testing.T) {
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			c.must(c.refresh())
			c.spoil(role)
			c.must(c.refresh())
			c.trusts("root 1, snapshot 1, targets 1, timestamp 1")
		})
	}
	r := newRepo(t)
	c := newClient(r)
	c.must(c.refresh())
	c.spoil("root")
	c.refused(c.refresh(), "root metadata")
}
