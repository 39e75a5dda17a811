package main

import (
	"os"
	"path/filepath"
	"testing"
)

// signing is one version of a role: the keys that it has, how many must sign, and
// those that do, as numbers into a set of keys.
type signing struct {
	keys      []int
	threshold int
	by        []int
}

func newKeys(t *testing.T, n int) []*signer {
	all := make([]*signer, n)
	for i := range all {
		all[i] = newSigner(t, "ed25519", "ed25519")
	}
	return all
}

func pick(all []*signer, numbers []int) []*signer {
	var some []*signer
	for _, n := range numbers {
		some = append(some, all[n])
	}
	return some
}

// TestRotationsOfRoot: each root must be signed by the threshold of the one before
// it and by its own (5.3.4). The last of the roots is the doubtful one.
func TestRotationsOfRoot(t *testing.T) {
	five, swapped, other := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}, []int{5, 6, 7, 8, 9}
	tests := []struct {
		name  string
		roots []signing
		taken bool
	}{
		{"one key for another", []signing{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 1}}, {[]int{2}, 1, []int{2}}}, true},
		{"and signatures of strangers", []signing{{[]int{1}, 1, []int{3, 1, 4}}, {[]int{2}, 1, []int{3, 2, 1, 4}}, {[]int{2}, 1, []int{3, 2, 4}}}, true},
		{"any three of five", []signing{{five, 3, []int{0, 2, 4}}, {five, 3, []int{0, 4, 1}}, {five, 3, []int{0, 1, 3}}, {five, 3, []int{2, 1, 3}}}, true},
		{"one of five changed", []signing{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 4, 1}}}, true},
		{"one of five changed, the old signs", []signing{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 2, 4, 5}}, {swapped, 3, []int{0, 4, 5}}}, true},
		{"all of five changed", []signing{{five, 3, []int{0, 2, 4}}, {other, 3, []int{0, 2, 4, 5, 6, 7}}, {other, 3, []int{5, 6, 7}}}, true},
		{"threshold up", []signing{{[]int{1, 2, 3}, 1, []int{1}}, {[]int{1, 2, 3}, 2, []int{1, 2}}}, true},
		{"threshold down", []signing{{[]int{1, 2, 3}, 2, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1}}}, true},
		{"one key more", []signing{{[]int{1}, 1, []int{1}}, {[]int{1, 2}, 2, []int{1, 2}}}, true},

		{"old key did not sign", []signing{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 3, 4}}}, false},
		{"new key did not sign", []signing{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{1, 3, 4}}}, false},
		{"three old ones, two new ones", []signing{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 2, 4}}}, false},
		{"two old ones, three new ones", []signing{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 4, 5}}}, false},
		{"new threshold not met", []signing{{[]int{1, 2, 3}, 1, []int{1}}, {[]int{1, 2, 3}, 2, []int{2}}}, false},
		{"old threshold not met", []signing{{[]int{1, 2, 3}, 2, []int{1, 2}}, {[]int{1, 2, 3}, 1, []int{1}}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, keys := newRepo(t), newKeys(t, 10)
			delete(r.files, "root")
			r.signed["root"]["version"] = 1
			for _, v := range tt.roots {
				r.rekey("root", v.threshold, pick(keys, v.keys)...)
				r.signers["root"] = pick(keys, v.by)
				r.publish("root")
			}
			r.agrees("", tt.taken)
			c := newClient(r)
			last := len(tt.roots) - 1
			if tt.taken {
				c.must(c.refresh())
			} else {
				c.refused(c.refresh(), "of its keys signed, it takes")
				last--
			}
			got, err := os.ReadFile(filepath.Join(c.meta, "root.json"))
			c.must(err)
			if string(got) != string(r.files["root"][last]) {
				t.Errorf("root %d is not the trusted one", last+1)
			}
		})
	}
}

// TestRotationsOfOthers: the other roles' keys are those of the newest root.
func TestRotationsOfOthers(t *testing.T) {
	five, swapped := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}
	tests := []struct {
		name string
		signing
		taken bool
	}{
		{"another key", signing{[]int{2}, 1, []int{2}}, true},
		{"and signatures of strangers", signing{[]int{1}, 1, []int{3, 1, 4}}, true},
		{"three of five", signing{five, 3, []int{0, 2, 4}}, true},
		{"three of five in another order", signing{five, 3, []int{4, 0, 1}}, true},
		{"three others of five", signing{five, 3, []int{2, 3, 4}}, true},
		{"new key did not sign", signing{[]int{2}, 1, []int{1, 3, 4}}, false},
		{"one of three is a stranger", signing{swapped, 3, []int{0, 2, 4}}, false},
		{"two of three", signing{swapped, 3, []int{0, 4}}, false},
	}
	for _, tt := range tests {
		for _, role := range []string{"timestamp", "snapshot", "targets"} {
			t.Run(tt.name+" "+role, func(t *testing.T) {
				r, keys := newRepo(t), newKeys(t, 6)
				c := newClient(r)
				c.must(c.refresh())
				r.rekey(role, tt.threshold, pick(keys, tt.keys)...)
				r.signers[role] = pick(keys, tt.by)
				r.publish("root", "targets", "snapshot", "timestamp")
				r.agrees("", tt.taken)
				if !tt.taken {
					c.refused(c.refresh(), role+" metadata: ")
					return
				}
				c.must(c.refresh())
				got, err := os.ReadFile(filepath.Join(c.meta, role+".json"))
				c.must(err)
				if string(got) != string(r.newest(role)) {
					t.Error("the newest metadata is not the trusted one")
				}
			})
		}
	}
}

// TestRotationsOfTargetsKeysAlone: targets metadata in the folder is verified by
// the keys of the newest root before it is used again (5.6.3).
func TestRotationsOfTargetsKeysAlone(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	c.must(c.refresh())
	r.rekey("targets", 1, newKey(t))
	r.publish("root")
	c.refused(c.refresh(), "targets metadata: 0 of its keys signed")
}

// TestRotationsSignedAnew: metadata that was signed again by new keys, under the
// version that it had, is fetched again.
func TestRotationsSignedAnew(t *testing.T) {
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			c.must(c.refresh())
			r.rekey(role, 1, newKey(t))
			r.publish("root")
			r.again(role)
			c.must(c.refresh())
			c.trusts("root 2, snapshot 1, targets 1, timestamp 1")
			got, err := os.ReadFile(filepath.Join(c.meta, role+".json"))
			c.must(err)
			if string(got) != string(r.newest(role)) {
				t.Error("the newest metadata is not the trusted one")
			}
		})
	}
}

// TestRotationsSameKey: a role keeps its key, which is called or used otherwise
// from now on. What it signed before no longer verifies, and does not lock the
// client out.
func TestRotationsSameKey(t *testing.T) {
	renamed := func(k *signer, key object) *signer {
		return &signer{id: keyID(t, key), key: key, private: k.private, scheme: key["scheme"].(string)}
	}
	for name, tt := range map[string]struct {
		first *signer
		then  func(k *signer) *signer
	}{
		"under another ID": {newKey(t), func(k *signer) *signer {
			return renamed(k, object{"keytype": "ecdsa", "scheme": k.scheme, "keyval": k.key["keyval"], "x-tuf-on-ci-keyowner": "@alice"})
		}},
		"by another scheme, under the same ID": {newSigner(t, "rsa", "rsassa-pss-sha256"), func(k *signer) *signer {
			next := renamed(k, object{"keytype": "rsa", "scheme": "rsa-pkcs1v15-sha256", "keyval": k.key["keyval"]})
			next.id = k.id
			return next
		}},
	} {
		for _, role := range []string{"timestamp", "snapshot", "targets"} {
			t.Run(name+" "+role, func(t *testing.T) {
				r := newRepo(t)
				c := newClient(r)
				r.rekey(role, 1, tt.first)
				r.publish("root", "targets", "snapshot", "timestamp")
				c.must(c.refresh())
				r.rekey(role, 1, tt.then(tt.first))
				r.publish("root", "targets", "snapshot", "timestamp")
				c.must(c.refresh())
				c.trusts("root 3, snapshot 3, targets 3, timestamp 3")
			})
		}
	}
}
