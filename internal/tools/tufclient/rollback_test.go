package main

import (
	"fmt"
	"testing"
)

func TestRollbackTimestampVersion(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.publish("timestamp")
	c.must(c.refresh())
	r.again("timestamp")
	r.asked()
	c.refused(c.refresh(), "timestamp metadata was rolled back to version 1, version 2 was seen")
	c.asked("root 2", "timestamp")
	c.trusts("root 1, snapshot 1, targets 1, timestamp 2")
}

// TestRollbackSnapshotVersion: a newer timestamp promises an older snapshot; that
// timestamp is refused, hashes or not.
func TestRollbackSnapshotVersion(t *testing.T) {
	for _, hashes := range []bool{false, true} {
		t.Run(fmt.Sprintf("hashes %t", hashes), func(t *testing.T) {
			r := newRepo(t)
			r.hashes = hashes
			c := newClient(r)
			r.publish("snapshot", "timestamp")
			c.must(c.refresh())
			r.again("snapshot")
			r.publish("timestamp")
			r.asked()
			c.refused(c.refresh(), "snapshot metadata was rolled back to version 1, version 2 was seen")
			c.asked("root 2", "timestamp")
			c.trusts("root 1, snapshot 2, targets 1, timestamp 2")
		})
	}
}

func TestRollbackTargetsVersion(t *testing.T) {
	for _, hashes := range []bool{false, true} {
		t.Run(fmt.Sprintf("hashes %t", hashes), func(t *testing.T) {
			r := newRepo(t)
			r.hashes = hashes
			c := newClient(r)
			r.publish("targets", "snapshot", "timestamp")
			c.must(c.refresh())
			r.again("targets")
			r.publish("snapshot", "timestamp")
			c.refused(c.refresh(), "targets metadata was rolled back to version 1, version 2 was seen")
			c.trusts("root 1, snapshot 2, targets 2, timestamp 3")
		})
	}
}

// TestRollbackDelegatedVersion: a delegated role that the client never asked for
// cannot be rolled back either, nor vanish from snapshot (5.5.5).
func TestRollbackDelegatedVersion(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.delegate("targets", "role", nil)
	r.publish("role", "targets", "snapshot", "timestamp")
	r.publish("role", "snapshot", "timestamp")
	c.must(c.refresh())
	r.again("role")
	r.publish("snapshot", "timestamp")
	c.refused(c.refresh(), "role metadata was rolled back to version 1, version 2 was seen")
	delete(child(r.signed["snapshot"], "meta"), "role.json")
	r.publish("snapshot", "timestamp")
	c.refused(c.refresh(), `no longer lists role "role"`)
	c.trusts("root 1, snapshot 3, targets 2, timestamp 5")
}

// TestRollbackRootVersion: an older root under the next number.
func TestRollbackRootVersion(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.publish("root")
	c.must(c.refresh())
	r.files["root"] = append(r.files["root"], r.files["root"][0])
	c.refused(c.refresh(), "root 3 metadata: it has version 1")
	c.trusts("root 2, snapshot 1, targets 1, timestamp 1")
}

// TestRollbackSnapshotUnpromised: a newer snapshot that no timestamp promises is
// not looked at.
func TestRollbackSnapshotUnpromised(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.publish("snapshot")
	child(child(r.signed["timestamp"], "meta"), "snapshot.json")["version"] = 1
	r.publish("root", "timestamp")
	c.must(c.refresh())
	c.trusts("root 2, snapshot 1, targets 1, timestamp 2")
}

// TestRollbackFastForwardRecovery: somebody with stolen keys issued a version far
// ahead. When the keys that let that happen were changed, the count begins anew
// (5.3.11).
func TestRollbackFastForwardRecovery(t *testing.T) {
	tests := []struct {
		role string
		keys []string // that are changed
	}{
		{"timestamp", []string{"timestamp"}},
		{"snapshot", []string{"snapshot", "timestamp"}},
		{"targets", []string{"snapshot"}},
	}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			for range 98 {
				r.files[tt.role] = append(r.files[tt.role], nil)
			}
			r.signed[tt.role]["version"] = 99
			r.publish(tt.role)
			if tt.role == "targets" {
				r.publish("snapshot")
			}
			if tt.role != "timestamp" {
				r.publish("timestamp")
			}
			c.must(c.refresh())
			r.again(tt.role)
			r.publish("snapshot", "timestamp")
			c.refused(c.refresh(), "rolled back")

			for _, role := range tt.keys {
				r.rekey(role, 1, newKey(t))
			}
			if tt.role != "targets" {
				r.again(tt.role)
			}
			r.publish("root", "snapshot", "timestamp")
			c.must(c.refresh())
		})
	}
}

// TestRollbackSameKeyIsNoRecovery: a root that only changes something else does
// not make clients forget.
func TestRollbackSameKeyIsNoRecovery(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.publish("timestamp")
	c.must(c.refresh())
	r.again("timestamp")
	r.rekey("targets", 1, newKey(t))
	r.publish("root")
	c.refused(c.refresh(), "rolled back")
}

// TestRollbackKeyUnderTheSameID: a key that was exchanged under its old ID was
// changed all the same.
func TestRollbackKeyUnderTheSameID(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.publish("timestamp")
	c.must(c.refresh())
	k := newKey(t)
	k.id = r.signers["timestamp"][0].id
	r.rekey("timestamp", 1, k)
	r.again("timestamp")
	r.publish("root")
	c.must(c.refresh())
	c.trusts("root 2, snapshot 1, targets 1, timestamp 1")
}
