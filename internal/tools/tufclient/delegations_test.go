package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// edge is one delegation: "from to", with what more there is to say of it.
type edge struct {
	who    string
	fields object
}

func (r *repo) graph(edges ...edge) {
	roles := []string{}
	for _, e := range edges {
		from, to, _ := strings.Cut(e.who, " ")
		r.delegate(from, to, e.fields)
		roles = append(roles, from, to)
	}
	seen := map[string]bool{"targets": true}
	for _, role := range roles {
		if !seen[role] {
			r.publish(role)
		}
		seen[role] = true
	}
	r.publish("targets", "snapshot", "timestamp")
}

// visited demands the roles that are read after the top-level ones.
func (c *client) visited(want string) {
	c.Helper()
	var roles []string
	for _, q := range c.repo.asked() {
		role, _, _ := strings.Cut(q, " ")
		if !strings.Contains("root timestamp snapshot targets artifact", role) {
			roles = append(roles, role)
		}
	}
	if diff := cmp.Diff(want, strings.Join(roles, " ")); diff != "" {
		c.Fatal("visited (-want +got):\n" + diff)
	}
}

var (
	terminating = object{"terminating": true}
	py          = object{"paths": []any{"*.py"}}
)

// TestDelegationsOrder: pre-order, depth first, in the order of the delegator's
// list; each role once; terminating ones end the search (5.6.7).
func TestDelegationsOrder(t *testing.T) {
	tests := []struct {
		name    string
		edges   []edge
		visited string
	}{
		{"one", []edge{{"targets A", nil}}, "A"},
		{"two", []edge{{"targets A", nil}, {"targets B", nil}}, "A B"},
		{"two levels", []edge{{"targets A", nil}, {"targets B", nil}, {"B C", nil}}, "A B C"},
		{"depth first", []edge{{"targets A", nil}, {"targets B", nil}, {"A C", nil}, {"A D", nil}}, "A C D B"},
		{"three levels", []edge{{"targets A", nil}, {"targets B", nil}, {"A C", nil}, {"C D", nil}}, "A C D B"},
		{"terminating", []edge{{"targets A", nil}, {"targets B", nil}, {"A C", terminating}, {"A D", nil}}, "A C"},
		{"terminating with descendants", []edge{{"targets A", nil}, {"targets B", nil}, {"A C", terminating}, {"C D", nil}}, "A C D"},
		{"terminating at the top", []edge{{"targets A", terminating}, {"targets B", nil}}, "A"},
		{"terminating, another path", []edge{{"targets A", object{"terminating": true, "paths": []any{"*.py"}}}, {"targets B", nil}}, "B"},
		{"another path", []edge{{"targets A", py}, {"targets B", nil}, {"A C", nil}}, "B"},
		{"another path below", []edge{{"targets A", nil}, {"targets B", nil}, {"A C", py}, {"C D", nil}}, "A B"},
		{"no path", []edge{{"targets A", object{"paths": []any{}}}, {"targets B", nil}}, "B"},
		{"circle", []edge{{"targets A", nil}, {"targets B", nil}, {"B C", nil}, {"C D", nil}, {"D B", nil}}, "A B C D"},
		{"to itself", []edge{{"targets A", nil}, {"A A", nil}}, "A"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.graph(tt.edges...)
			c.refused(c.download("missing"), "names")
			c.visited(tt.visited)
		})
	}
}

// TestDelegationsTwoParents: a role that two roles delegate to is visited once,
// on the way that comes first.
func TestDelegationsTwoParents(t *testing.T) {
	for name, tt := range map[string]struct {
		fields  object
		visited string
	}{
		"through A": {nil, "A C B"},
		"through B": {py, "A B C"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			k := newKey(t)
			r.delegate("targets", "A", nil)
			r.delegate("targets", "B", nil)
			r.delegate("A", "C", tt.fields, k)
			r.delegate("B", "C", nil, k)
			r.publish("A", "B", "C", "targets", "snapshot", "timestamp")
			c.refused(c.download("missing"), "names")
			c.visited(tt.visited)
		})
	}
}

func TestDelegationsSearch(t *testing.T) {
	for path, tt := range map[string]struct {
		visited, content string
	}{
		"file":                {"", "of targets"},
		"README.md":           {"A", "of A"},
		"releases/x/x_v1":     {"B C", "of C"},
		"releases/y/y_v1.zip": {"B D", "of D"},
		"releases/z/z_v1.zip": {"B", ""}, // D has it, but is not trusted with it
		"releases/x/deep/x":   {"", ""},
		"releases/README.md":  {"", ""}, // no wildcard crosses a slash
		"foo-1.tgz":           {"A", "of A too"},
		"foo-alpha.tgz":       {"", ""},
		"README.MD":           {"", ""},
	} {
		t.Run(path, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.delegate("targets", "A", object{"paths": []any{"*.doc", "*.md", "foo-?.tgz"}})
			r.delegate("targets", "B", object{"paths": []any{"releases/*/*"}})
			r.delegate("B", "C", object{"paths": []any{"releases/x/*"}})
			r.delegate("B", "D", object{"paths": []any{"releases/y/*.zip"}})
			r.add("targets", "file", "of targets")
			r.add("A", "README.md", "of A")
			r.add("A", "releases/README.md", "not A's")
			r.add("A", "foo-1.tgz", "of A too")
			r.add("A", "foo-alpha.tgz", "not A's either")
			r.add("C", "releases/x/x_v1", "of C")
			r.add("D", "releases/y/y_v1.zip", "of D")
			r.add("D", "releases/z/z_v1.zip", "not D's")
			r.publish("A", "B", "C", "D", "targets", "snapshot", "timestamp")
			r.agrees(path, tt.content != "")
			r.asked()
			err := c.download(path)
			c.visited(tt.visited)
			if tt.content == "" {
				c.refused(err, "names")
				c.has()
				return
			}
			c.must(err)
			c.has(tt.content)
		})
	}
}

// TestDelegationsFirstWins: of two roles that describe a file the first decides.
func TestDelegationsFirstWins(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.delegate("targets", "A", nil)
	r.delegate("targets", "B", nil)
	r.add("B", "file", "B's")
	r.add("A", "file", "A's")
	r.publish("A", "B", "targets", "snapshot", "timestamp")
	c.must(c.download("file"))
	c.has("A's")
	c.visited("A")
}

// TestDelegationsCachedRoleIsVerifiedAgain: A and B both delegate to C, with keys
// of their own. That C is signed as A wants it does not help where B is asked,
// though C was read and verified a moment ago, in this process or another.
func TestDelegationsCachedRoleIsVerifiedAgain(t *testing.T) {
	newDiamond := func(t *testing.T) *client {
		r := newRepo(t)
		c := newClient(r)
		r.delegate("targets", "A", object{"paths": []any{"a/*"}})
		r.delegate("targets", "B", object{"paths": []any{"b/*"}})
		r.delegate("A", "C", object{"paths": []any{"a/*"}}, newKey(t))
		r.delegate("B", "C", object{"paths": []any{"b/*"}}, newKey(t)) // which does not sign
		r.add("C", "a/file", "A lets C say it")
		r.add("C", "b/file", "B does not")
		r.publish("A", "B", "C", "targets", "snapshot", "timestamp")
		return c
	}
	t.Run("one process", func(t *testing.T) {
		c := newDiamond(t)
		c.refused(c.download("a/file", "b/file"), "C metadata: 0 of its keys signed")
		c.has("A lets C say it")
	})
	t.Run("two processes", func(t *testing.T) {
		c := newDiamond(t)
		c.must(c.download("a/file"))
		c.refused(c.download("b/file"), "C metadata: 0 of its keys signed")
		c.has("A lets C say it")
	})
	t.Run("the other way round", func(t *testing.T) {
		c := newDiamond(t)
		c.refused(c.download("b/file", "a/file"), "C metadata: 0 of its keys signed")
		c.has()
	})
}

// TestDelegationsKeysChanged: what a delegated role signed with a key that its
// delegator took away since is worth nothing, read before or not.
func TestDelegationsKeysChanged(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.delegate("targets", "A", nil)
	r.add("A", "one", "1")
	r.add("A", "two", "2")
	r.publish("A", "targets", "snapshot", "timestamp")
	c.must(c.download("one"))
	delete(r.signed["targets"], "delegations")
	r.delegate("targets", "A", nil, newKey(t))
	r.publish("targets", "snapshot", "timestamp")
	c.refused(c.download("two"), "A metadata: 0 of its keys signed")
	c.has("1")
}

// TestDelegationsUnverifiedRoleEndsTheSearch: a role in which the search cannot
// look is not passed over for a less trusted one (5.6.7).
func TestDelegationsUnverifiedRoleEndsTheSearch(t *testing.T) {
	for name, spoil := range map[string]func(r *repo){
		"unsigned": func(r *repo) { r.signers["A"] = nil; r.publish("A") },
		"missing":  func(r *repo) { r.publish("A"); r.files["A"] = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.delegate("targets", "A", nil)
			r.delegate("targets", "B", nil)
			r.add("B", "file", "B's")
			spoil(r)
			r.publish("B", "targets", "snapshot", "timestamp")
			c.refused(c.download("file"), "A metadata")
			c.has()
		})
	}
}

// TestDelegationsNotInSnapshot: a role that snapshot does not list is not asked
// for, and ends the search as one does that cannot be verified: else whoever holds
// snapshot's key hides a role and lets a less trusted one answer.
func TestDelegationsNotInSnapshot(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	r.delegate("targets", "hidden", nil)
	r.delegate("targets", "other", nil)
	r.add("hidden", "file", "right")
	r.add("other", "file", "wrong")
	r.publish("hidden", "other", "targets")
	delete(child(r.signed["snapshot"], "meta"), "hidden.json")
	r.publish("snapshot", "timestamp")
	c.must(c.refresh())
	r.asked()
	c.refused(c.download("file"), `does not list role "hidden"`)
	c.asked("root 2", "timestamp")
	c.has()
	c.trusts("root 1, snapshot 2, targets 2, timestamp 2")
	r.agrees("file", false)
}

// TestDelegationsLongNames: a name may be as long as that of its file allows.
func TestDelegationsLongNames(t *testing.T) {
	for _, role := range []string{strings.Repeat("n", 225), strings.Repeat("/", 75), strings.Repeat("N", 75)} {
		r := newRepo(t)
		c := newClient(r)
		r.delegate("targets", role, nil)
		r.add(role, "file", "content")
		r.publish(role, "targets", "snapshot", "timestamp")
		c.must(c.download("file"))
		c.has("content")
	}
}

func TestDelegationsHashBins(t *testing.T) {
	sum := sha256.Sum256([]byte("dir/file"))
	mine := hex.EncodeToString(sum[:])[:2]
	r := newRepo(t)
	c := newClient(r)
	r.delegate("targets", "mine", object{"path_hash_prefixes": []any{"zz", mine}})
	r.delegate("targets", "others", object{"path_hash_prefixes": []any{fmt.Sprintf("%02x", sum[0]+1)}})
	r.add("others", "dir/file", "not its")
	r.add("mine", "dir/file", "content")
	r.publish("mine", "others", "targets", "snapshot", "timestamp")
	c.must(c.download("dir/file"))
	c.has("content")
	c.visited("mine")
}

// TestDelegationsSuccinct: bins that are only described (TAP 15).
func TestDelegationsSuccinct(t *testing.T) {
	for _, bits := range []int{1, 4, 5, 10, 32} {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			sum := sha256.Sum256([]byte("dir/file"))
			number := uint64(sum[0])<<24 | uint64(sum[1])<<16 | uint64(sum[2])<<8 | uint64(sum[3])
			bin := fmt.Sprintf("bin-%0*x", len(fmt.Sprintf("%x", uint64(1)<<bits-1)), number>>(32-bits))
			r := newRepo(t)
			c := newClient(r)
			k := newKey(t)
			r.delegate("targets", bin, nil, k)
			r.signed["targets"]["delegations"] = object{
				"keys":           object{k.id: k.key},
				"succinct_roles": object{"keyids": []any{k.id}, "threshold": 1, "bit_length": bits, "name_prefix": "bin"},
			}
			r.add(bin, "dir/file", "content")
			r.publish(bin, "targets", "snapshot", "timestamp")
			c.must(c.download("dir/file"))
			c.has("content")
			c.visited(bin)
		})
	}
}

// TestDelegationsMalformed: delegations that could be read in two ways.
func TestDelegationsMalformed(t *testing.T) {
	tests := map[string]func(d object, role object){
		"twice":              func(d, role object) { d["roles"] = []any{role, role} },
		"paths and prefixes": func(_, role object) { role["path_hash_prefixes"] = []any{"00"} },
		"neither":            func(_, role object) { delete(role, "paths") },
		"root":               func(_, role object) { role["name"] = "root" },
		"no name":            func(_, role object) { role["name"] = "" },
		"long name":          func(_, role object) { role["name"] = strings.Repeat("n", 226) },
		"long escaped name":  func(_, role object) { role["name"] = strings.Repeat("/", 76) },
		"long pattern":       func(_, role object) { role["paths"] = []any{strings.Repeat("*", 513)} },
		"roles and bins": func(d, _ object) {
			d["succinct_roles"] = object{"keyids": []any{}, "threshold": 1, "bit_length": 4, "name_prefix": "bin"}
		},
		"bits": func(d, _ object) {
			delete(d, "roles")
			d["succinct_roles"] = object{"keyids": []any{}, "threshold": 1, "bit_length": 33, "name_prefix": "bin"}
		},
		"long prefix": func(d, _ object) {
			delete(d, "roles")
			d["succinct_roles"] = object{"keyids": []any{}, "threshold": 1, "bit_length": 32, "name_prefix": strings.Repeat("b", 217)}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.delegate("targets", "A", nil)
			r.publish("A")
			d := child(r.signed["targets"], "delegations")
			all, _ := d["roles"].([]any)
			role, _ := all[0].(object)
			change(d, role)
			r.publish("targets", "snapshot", "timestamp")
			c.refused(c.refresh(), `targets metadata: field "`)
		})
	}
}

// TestDelegationsWithoutEnd: a graph that was made to keep clients busy.
func TestDelegationsWithoutEnd(t *testing.T) {
	r := newRepo(t)
	c := newClient(r)
	from := "targets"
	for i := range 12 {
		to := fmt.Sprintf("level%d", i)
		r.delegate(from, to, nil)
		from = to
	}
	for i := range 12 {
		r.publish(fmt.Sprintf("level%d", i))
	}
	r.publish("targets", "snapshot", "timestamp")
	c.refused(c.download("missing"), "too many delegations")
}
