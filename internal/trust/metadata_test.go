package trust

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

func TestParseJSON(t *testing.T) {
	for _, in := range []string{
		"", "{", `{"a":1,"a":1}`, `{"a":{"b":1,"b":1}}`, `{"a":1.0}`, `{"a":1e2}`, `{"a":-0}`, `{"a":9223372036854775808}`,
		`{"a":"` + "\xff" + `"}`, `{} {}`, strings.Repeat("[", 17) + strings.Repeat("]", 17), `{"\ud800":1,"\ufffd":1}`,
	} {
		if v, err := parseJSON([]byte(in)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q gave %v, %v", in, v, err)
		}
	}
	v, err := parseJSON([]byte(`{"b":[1,-2,null,true],"a":"x\"\\\n"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := canonical(v)
	if want := "{\"a\":\"x\\\"\\\\\n\",\"b\":[1,-2,null,true]}"; err != nil || string(got) != want {
		t.Errorf("canonical form is %q, %v; want %q", got, err, want)
	}
}

// TestMalformed: one thing is wrong with metadata that is signed well.
func TestMalformed(t *testing.T) {
	sub := func(m map[string]any, name string) map[string]any {
		s, _ := m[name].(map[string]any)
		return s
	}
	anyKey := func(s map[string]any) map[string]any {
		for _, k := range sub(s, "keys") {
			m, _ := k.(map[string]any)
			return m
		}
		return nil
	}
	tests := []struct {
		name, words string
		change      func(s map[string]any)
	}{
		{"type", "another role's", func(s map[string]any) { s["_type"] = "targets" }},
		{"spec", "not 1.x", func(s map[string]any) { s["spec_version"] = "2.0.0" }},
		{"version 0", "out of range", func(s map[string]any) { s["version"] = 0 }},
		{"version text", "wrong type", func(s map[string]any) { s["version"] = "1" }},
		{"no expiry", "missing", func(s map[string]any) { delete(s, "expires") }},
		{"offset", "not a time", func(s map[string]any) { s["expires"] = "2027-11-23T12:00:00+01:00" }},
		{"fraction", "not a time", func(s map[string]any) { s["expires"] = "2027-11-23T12:00:00.5Z" }},
		{"no role", "missing", func(s map[string]any) { delete(sub(s, "roles"), "snapshot") }},
		{"threshold 0", "out of range", func(s map[string]any) { sub(sub(s, "roles"), "root")["threshold"] = 0 }},
		{"no scheme", "missing", func(s map[string]any) { delete(anyKey(s), "scheme") }},
		{"no key value", "missing", func(s map[string]any) { delete(anyKey(s), "keyval") }},
		{"key ID", "not its hash", func(s map[string]any) { anyKey(s)["x-note"] = "changed" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.files()
			w.forge(f, "1.root.json", tt.change, "root1", "root2")
			w.refused(w.refresh(f), tt.words)
		})
	}
}

// TestUnknownFieldsAreKept: what a later version wrote into the signed part is
// still there after this one signed again.
func TestUnknownFieldsAreKept(t *testing.T) {
	w := newWorld(t)
	f := w.files()
	w.forge(f, "1.targets.json", func(s map[string]any) { s["x-later"] = map[string]any{"a": []any{"b"}} }, "targets")
	w.relink(f, 2, map[string]int64{RoleTargets: 1})
	w.write(f)
	w.sign(RoleTargets, "v1", "a")
	m, err := parse(w.files()["2.targets.json"], decodeTargets)
	w.must(err)
	if diff := cmp.Diff(map[string]any{"x-later": map[string]any{"a": []any{"b"}}}, m.Signed.rest); diff != "" {
		t.Error(diff)
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"*", "v1", true},
		{"*", "sha256/aa", false},
		{"sha256/*", "sha256/aa", true},
		{"v1.*", "v1.2", true},
		{"v1.*", "v2.1", false},
		{"v?", "v1", true},
		{"a[^b]c", "a/c", false},
	}
	for _, tt := range tests {
		if got := (&delegation{Paths: []string{tt.pattern}}).covers(tt.name); got != tt.want {
			t.Errorf("%q covers %q: %v", tt.pattern, tt.name, got)
		}
	}
	sum, _ := hashOf("sha256", []byte("v1"))
	if d := (&delegation{Prefixes: []string{sum[:2]}}); !d.covers("v1") || d.covers("v2") {
		t.Error("path hash prefixes are not obeyed")
	}
}

func ExamplePins_Check() {
	p := Pins{Threshold: 2, Keys: []string{"sha256:" + strings.Repeat("a", 64)}}
	fmt.Println(p.Check())
	// Output: the threshold of pinned root keys is 2, with 1 keys
}
