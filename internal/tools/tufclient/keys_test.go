package main

import "testing"

func TestKeysBelowThreshold(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.rekey("snapshot", 3, newKey(t), newKey(t), newKey(t))
	r.publish("root", "targets", "snapshot", "timestamp")
	c.must(c.refresh())
	r.signers["snapshot"] = r.signers["snapshot"][:2]
	r.publish("targets", "snapshot", "timestamp")
	c.refused(c.refresh(), "snapshot metadata: 2 of its keys signed, it takes 3")
	c.trusts("root 2, snapshot 2, targets 2, timestamp 3")
}

// TestKeysTooFew: no signature could meet the threshold.
func TestKeysTooFew(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.rekey("snapshot", 6, newKey(t), newKey(t), newKey(t), newKey(t), newKey(t))
	r.publish("root", "snapshot", "timestamp")
	c.refused(c.refresh(), "5 of its keys signed, it takes 6")
	c.trusts("root 2, timestamp 2")
}

// TestKeysListedButAbsent: an ID for which there is no key counts for nothing.
func TestKeysListedButAbsent(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.rekey("snapshot", 2, newKey(t), newKey(t))
	delete(child(r.signed["root"], "keys"), r.signers["snapshot"][1].id)
	r.publish("root", "snapshot", "timestamp")
	c.refused(c.refresh(), "1 of its keys signed, it takes 2")
}

// TestKeysOnlyOfTheRole: keys that root lists for others sign nothing.
func TestKeysOnlyOfTheRole(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	stray := newKey(t)
	child(r.signed["root"], "keys")[stray.id] = stray.key
	r.signers["targets"] = append([]*signer{stray}, r.signers["root"][0], r.signers["timestamp"][0])
	r.publish("root", "targets", "snapshot", "timestamp")
	c.refused(c.refresh(), "targets metadata: 0 of its keys signed")
}

// TestKeysOneCountsOnce: one key under many IDs, or listed many times, is one.
func TestKeysOneCountsOnce(t *testing.T) {
	twin := func(t *testing.T, k *signer, note string) *signer {
		s := *k
		s.key = object{"keytype": k.key["keytype"], "scheme": k.scheme, "keyval": k.key["keyval"], "x-note": note}
		s.id = keyID(t, s.key)
		return &s
	}
	t.Run("one ID", func(t *testing.T) {
		r := newRepo(t)
		c := newClient(r)
		k := newKey(t)
		r.rekey("snapshot", 2, k, k, k)
		r.signers["snapshot"] = []*signer{k}
		r.publish("root", "snapshot", "timestamp")
		c.refused(c.refresh(), "1 of its keys signed, it takes 2")
		c.trusts("root 2, timestamp 2")
	})
	t.Run("two IDs", func(t *testing.T) {
		r := newRepo(t)
		c := newClient(r)
		k := newKey(t)
		r.rekey("snapshot", 2, k, twin(t, k, "the same again"))
		r.publish("root", "snapshot", "timestamp")
		c.refused(c.refresh(), "1 of its keys signed, it takes 2")
	})
	t.Run("two schemes", func(t *testing.T) {
		r := newRepo(t)
		c := newClient(r)
		k := newSigner(t, "rsa", "rsassa-pss-sha256")
		other := *k
		other.scheme = "rsa-pkcs1v15-sha256"
		other.key = object{"keytype": "rsa", "scheme": other.scheme, "keyval": k.key["keyval"]}
		other.id = keyID(t, other.key)
		r.rekey("snapshot", 2, k, &other)
		r.publish("root", "snapshot", "timestamp")
		c.refused(c.refresh(), "1 of its keys signed, it takes 2")
	})
}

// TestKeysSignatureIDsAreUnique: two signatures under one key ID are refused even
// where one of them would do (4.2).
func TestKeysSignatureIDsAreUnique(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.publish("snapshot", "timestamp")
	r.swap("snapshot", func(file object) {
		all, _ := file["signatures"].([]any)
		file["signatures"] = append(all, all[0])
	})
	c.refused(c.refresh(), "a key ID occurs twice")
	c.trusts("root 1, timestamp 2")
}

// TestKeysTypes: each type and scheme of the specification verifies, and a
// signature that only looks like one does not.
func TestKeysTypes(t *testing.T) {
	for _, tt := range []struct{ keytype, scheme string }{
		{"ecdsa", "ecdsa-sha2-nistp256"},
		{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"},
		{"ed25519", "ed25519"},
		{"rsa", "rsassa-pss-sha256"},
		{"rsa", "rsa-pkcs1v15-sha256"},
	} {
		t.Run(tt.keytype+" "+tt.scheme, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			k := newSigner(t, tt.keytype, tt.scheme)
			r.addKey("root", k)
			r.role("root")["threshold"] = 2
			r.publish("root")
			c.must(c.refresh())
			c.trusts("root 2, snapshot 1, targets 1, timestamp 1")
			r.publish("root")
			r.swap("root", func(file object) {
				all, _ := file["signatures"].([]any)
				s, _ := all[1].(object)
				s["sig"] = k.sign(t, []byte("something else"))
			})
			c.refused(c.refresh(), "1 of its keys signed, it takes 2")
			c.trusts("root 2, snapshot 1, targets 1, timestamp 1")
		})
	}
}

// TestKeysNotUnderstood: a key of a type or scheme that is not known, or that is
// not what it says, counts for nothing; the others may do.
func TestKeysNotUnderstood(t *testing.T) {
	tests := map[string]func(t *testing.T) object{
		"type":   func(*testing.T) object { return object{"keytype": "lattice", "scheme": "x", "keyval": object{"n": 1}} },
		"scheme": func(t *testing.T) object { k := newKey(t).key; k["scheme"] = "ecdsa-sha3-nistp521"; return k },
		"type of another": func(t *testing.T) object {
			k := newKey(t).key
			k["keytype"], k["scheme"] = "ed25519", "ed25519"
			return k
		},
		"no public":     func(t *testing.T) object { k := newKey(t).key; k["keyval"] = object{}; return k },
		"public a list": func(t *testing.T) object { k := newKey(t).key; k["keyval"] = object{"public": []any{}}; return k },
		"no RSA key": func(t *testing.T) object {
			k := newKey(t).key
			k["keytype"], k["scheme"] = "rsa", "rsassa-pss-sha256"
			return k
		},
		"not understood": func(t *testing.T) object { k := newKey(t).key; k["keyval"] = object{"public": "zz"}; return k },
	}
	for name, key := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			odd := newKey(t) // what is signed with it would verify, were it understood
			odd.key = key(t)
			odd.id = keyID(t, odd.key)
			r.addKey("timestamp", odd)
			r.publish("root", "timestamp")
			c.must(c.refresh())
			r.role("timestamp")["threshold"] = 2
			r.publish("root", "timestamp")
			c.refused(c.refresh(), "1 of its keys signed, it takes 2")
		})
	}
}

// TestKeysIDIsOnlyAName: an ID that is not the key's hash is taken, as the
// reference clients take it. Collections of Plimsoll refuse it.
func TestKeysIDIsOnlyAName(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	k := newKey(t)
	k.id = "our-key"
	r.rekey("timestamp", 1, k)
	r.publish("root", "timestamp")
	c.must(c.refresh())
	c.trusts("root 2, snapshot 1, targets 1, timestamp 2")
}

// TestKeysBadSignatureBesideGoodOne: what does not verify, is empty or no hex
// spoils nothing while the threshold is met.
func TestKeysBadSignatureBesideGoodOne(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.addKey("timestamp", newKey(t))
	r.publish("root")
	for _, sig := range []string{newKey(t).sign(t, nil), "", "no hex", "00"} {
		r.publish("timestamp")
		r.swap("timestamp", func(file object) {
			all, _ := file["signatures"].([]any)
			s, _ := all[0].(object)
			s["sig"] = sig
		})
		c.must(c.refresh())
	}
	c.trusts("root 2, snapshot 1, targets 1, timestamp 5")
}
