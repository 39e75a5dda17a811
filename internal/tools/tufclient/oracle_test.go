package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// agrees demands that go-tuf, which nobody here wrote, takes the repository and
// finds the target, or refuses one of them, as we do: the simulator simulates what
// others too hold for a repository.
func (r *repo) agrees(target string, want bool) {
	r.Helper()
	if err := r.oracle(target); (err == nil) != want {
		r.Errorf("go-tuf says: %v", err)
	}
}

// oracle asks go-tuf for the target, or only for the metadata.
func (r *repo) oracle(target string) error {
	r.Helper()
	cfg, err := config.New(r.url+"/metadata", r.files["root"][0])
	if err != nil {
		r.Fatal(err)
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = r.TempDir(), r.TempDir()
	u, err := updater.New(cfg)
	if err != nil {
		return err
	}
	u.UnsafeSetRefTime(today)
	if err := u.Refresh(); err != nil || target == "" {
		return err
	}
	_, err = u.GetTargetInfo(target)
	return err
}

// TestOracleDistorted changes every value in every signed part, and signs it as if
// nothing were wrong: what go-tuf refuses is never taken. (We are stricter in
// places, and take a root that says nothing of consistent snapshots, which go-tuf
// cannot verify.)
func TestOracleDistorted(t *testing.T) {
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "delegated"} {
		t.Run(role, func(t *testing.T) {
			r := newRepo(t)
			r.hashes = true
			r.delegate("targets", "delegated", object{"paths": []any{"file*", "dir/*"}})
			r.add("delegated", "file", "content")
			r.publish("root", "delegated", "targets", "snapshot", "timestamp")
			r.agrees("file", true)
			taken := 0
			for what, signed := range distorted(t, r.signed[role]) {
				r.resign(role, signed)
				c := newClient(r)
				if err := c.download("file"); err != nil {
					continue
				}
				taken++
				if err := r.oracle("file"); err != nil && what != "[consistent_snapshot] removed" {
					t.Errorf("%s: taken, and go-tuf says: %v", what, err)
				}
			}
			if taken == 0 {
				t.Error("nothing was taken: the test tests nothing")
			}
		})
	}
}

// resign replaces role's newest file by one with the signed part, and lets
// snapshot and timestamp promise it.
func (r *repo) resign(role string, signed object) {
	r.Helper()
	was := r.signed[role]
	r.signed[role] = signed
	r.mu.Lock()
	r.files[role] = slices.Delete(r.files[role], len(r.files[role])-1, len(r.files[role]))
	r.mu.Unlock()
	r.put(role, r.file(signed, r.signers[role]...))
	switch role {
	case "targets", "delegated":
		r.publish("snapshot", "timestamp")
	case "snapshot":
		r.publish("timestamp")
	}
	r.signed[role] = was
}

// distorted returns copies of signed in each of which one value was changed, by
// what was changed.
func distorted(t *testing.T, signed object) map[string]object {
	t.Helper()
	all := map[string]object{}
	for _, at := range places(signed, nil) {
		for how, to := range map[string]func(old any) any{
			"removed":  func(any) any { return nil },
			"emptied":  func(any) any { return "" },
			"negative": func(any) any { return -1 },
			"a list":   func(old any) any { return []any{old, old} },
			"doubled": func(old any) any {
				if list, ok := old.([]any); ok {
					return slices.Concat(list, list)
				}
				return object{"x": old}
			},
		} {
			whole := clone(t, signed)
			var parent any = whole
			for _, k := range at[:len(at)-1] {
				parent = member(parent, k)
			}
			replace(parent, at[len(at)-1], to)
			all[fmt.Sprint(at)+" "+how] = whole
		}
	}
	return all
}

// places returns the way to every value below v: names and numbers.
func places(v any, at []any) (all [][]any) {
	if len(at) > 0 {
		all = append(all, at)
	}
	switch v := v.(type) {
	case object:
		for k := range v {
			all = append(all, places(v[k], append(slices.Clone(at), k))...)
		}
	case []any:
		for i := range v {
			all = append(all, places(v[i], append(slices.Clone(at), i))...)
		}
	}
	return all
}

// replace changes the member k of parent; one that becomes nothing is removed.
func replace(parent, k any, to func(old any) any) {
	changed := to(member(parent, k))
	switch parent := parent.(type) {
	case object:
		name, _ := k.(string)
		if parent[name] = changed; changed == nil {
			delete(parent, name)
		}
	case []any:
		i, _ := k.(int)
		parent[i] = changed
	}
}

func member(v, k any) any {
	switch v := v.(type) {
	case object:
		name, _ := k.(string)
		return v[name]
	case []any:
		i, _ := k.(int)
		return v[i]
	}
	return nil
}

// clone copies o; its numbers stay numbers of type int.
func clone(t *testing.T, o object) object {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	copied, _ := integers(out).(object)
	return copied
}

func integers(v any) any {
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Int64()
		return int(n)
	case object:
		for k := range v {
			v[k] = integers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = integers(v[i])
		}
	}
	return v
}
