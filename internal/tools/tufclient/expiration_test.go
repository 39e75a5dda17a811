package main

import "testing"

// TestExpirationRefused: newer metadata that has expired is not taken. Root is
// stored all the same (5.3.8 comes before 5.3.10).
func TestExpirationRefused(t *testing.T) {
	tests := []struct{ role, trusted string }{
		{"root", "root 3, snapshot 1, targets 1, timestamp 1"},
		{"timestamp", "root 2, snapshot 1, targets 1, timestamp 1"},
		{"snapshot", "root 2, snapshot 1, targets 1, timestamp 2"},
		{"targets", "root 2, snapshot 2, targets 1, timestamp 2"},
	}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.publish("root")
			c.must(c.refresh())
			r.signed[tt.role]["expires"] = date(-5 * day)
			if tt.role == "root" {
				r.publish("root")
			}
			r.publish("targets", "snapshot", "timestamp")
			c.refused(c.refresh(), tt.role+" metadata expired")
			c.trusts(tt.trusted)
		})
	}
}

// TestExpirationOfWhatIsTrusted: what was taken once is worth nothing when it has
// expired and nothing newer is there (freeze).
func TestExpirationOfWhatIsTrusted(t *testing.T) {
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.signed[role]["expires"] = date(7 * day)
			r.publish("root", "targets", "snapshot", "timestamp")
			c.must(c.refresh())
			c.now = today.Add(8 * day)
			c.refused(c.refresh(), role+" metadata expired")
		})
	}
}

// TestExpirationIsStrict: at the second of its expiry metadata has expired.
func TestExpirationIsStrict(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.signed["timestamp"]["expires"] = date(day)
	r.publish("timestamp")
	c.now = today.Add(day - 1)
	c.must(c.refresh())
	c.now = today.Add(day)
	c.refused(c.refresh(), "timestamp metadata expired")
}

// TestExpirationOfOldDoesNotStopNew: expired metadata in the folder is a
// beginning to go on from.
func TestExpirationOfOldDoesNotStopNew(t *testing.T) {
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.signed[role]["expires"] = date(7 * day)
			r.publish("root", "targets", "snapshot", "timestamp")
			c.must(c.refresh())
			r.signed[role]["expires"] = date(21 * day)
			r.publish("root", "targets", "snapshot", "timestamp")
			c.now = today.Add(18 * day)
			c.must(c.refresh())
			c.trusts("root 3, snapshot 3, targets 3, timestamp 3")
		})
	}
}

// TestExpirationOfRootOnTheWay: a root in the middle of the chain may have
// expired (5.3.6).
func TestExpirationOfRootOnTheWay(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.signed["root"]["expires"] = date(-day)
	r.publish("root")
	r.signed["root"]["expires"] = date(day)
	r.publish("root")
	c.must(c.refresh())
	c.trusts("root 3, snapshot 1, targets 1, timestamp 1")
}

func TestExpirationOfOldSnapshotStillCounts(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.signed["snapshot"]["expires"] = date(7 * day)
	r.publish("targets", "snapshot", "timestamp")
	c.must(c.refresh())
	r.again("targets")
	r.signed["snapshot"]["expires"] = date(21 * day)
	r.publish("snapshot", "timestamp")
	c.now = today.Add(18 * day)
	c.refused(c.refresh(), "rolled back")
}

func newDelegated(t *testing.T, expires string) (*repo, *client) {
	t.Helper()
	r := newRepo(t)
	c := newClient(r)
	r.delegate("targets", "delegated", object{"paths": []any{"dir/*"}})
	r.signed["delegated"]["expires"] = expires
	r.add("delegated", "dir/one", "1")
	r.add("delegated", "dir/two", "2")
	r.publish("delegated", "targets", "snapshot", "timestamp")
	return r, c
}

func TestExpirationOfDelegatedRole(t *testing.T) {
	_, c := newDelegated(t, date(-day))
	c.must(c.refresh())
	c.refused(c.download("dir/one"), "delegated metadata expired")
	c.has()
	c.trusts("root 1, snapshot 2, targets 2, timestamp 2")
}

func TestExpirationOfTrustedDelegatedRole(t *testing.T) {
	_, c := newDelegated(t, date(7*day))
	c.must(c.download("dir/one"))
	c.now = today.Add(18 * day)
	c.refused(c.download("dir/two"), "delegated metadata expired")
	c.has("1")
}

func TestExpirationOfDelegatedRoleRenewed(t *testing.T) {
	r, c := newDelegated(t, date(7*day))
	c.must(c.download("dir/one"))
	r.signed["delegated"]["expires"] = date(21 * day)
	r.publish("delegated", "snapshot", "timestamp")
	c.now = today.Add(18 * day)
	c.must(c.download("dir/two"))
	c.has("1", "2")
}
