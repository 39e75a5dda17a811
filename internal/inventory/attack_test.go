package inventory

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// osLayer returns a layer with a package database of the given type at path.
func osLayer(path string, typ Type, names ...string) *Facts {
	f := layer("f " + path)
	found := Found{Method: "db"}
	for _, n := range names {
		found.Components = append(found.Components, Component{Kind: OS, Type: typ, Name: n, Version: "1"})
	}
	f.Files = append(f.Files, File{Path: path, Found: []Found{found}})
	return f
}

// release adds an os-release to a layer.
func release(f *Facts, id string) *Facts {
	f.Files = append(f.Files, File{Path: "etc/os-release", Found: []Found{{Method: "os-release", Distro: &Distro{ID: id}}}})
	return f
}

func unreadable(layers ...*Facts) (out []string) {
	var v Inventory
	v.Merge(layers, nil)
	for _, u := range v.Unreadable {
		out = append(out, fmt.Sprintf("%d %s: %s", u.Index, u.Path, u.Reason))
	}
	return out
}

func TestHiddenPackageDatabaseIsReported(t *testing.T) {
	const removed = "the package database was removed: the packages that it listed may still be there"
	status := osLayer("var/lib/dpkg/status", Deb, "openssl")
	for _, test := range []struct {
		name   string
		layers []*Facts
		want   []string
	}{
		{"there", []*Facts{release(status, "debian")}, nil},
		{"upgraded", []*Facts{status, osLayer("var/lib/dpkg/status", Deb, "openssl", "zlib")}, nil},
		{"removed", []*Facts{status, layer("w var/lib/dpkg")}, []string{"1 var/lib/dpkg/status: " + removed}},
		{"removed and os-release too", []*Facts{release(status, "debian"), layer("w var"), layer("w etc")}, []string{"1 var/lib/dpkg/status: " + removed}},
		{"emptied", []*Facts{status, layer("f var/lib/dpkg/status")}, []string{"1 var/lib/dpkg/status: " + removed}},
		{
			"behind a link",
			[]*Facts{layer("l var/lib -> ../srv", "f srv/dpkg/status")},
			[]string{`0 var/lib: a link on the way to a package database, which leads to "srv/dpkg/status", where none is looked for`},
		},
		{
			"itself a link",
			[]*Facts{layer("l var/lib/dpkg/status -> /aaa", "f aaa")},
			[]string{`0 var/lib/dpkg/status: a link on the way to a package database, which leads to "aaa", where none is looked for`},
		},
		{
			"a part is a link",
			[]*Facts{layer("l var/lib/dpkg/status.d/base -> /aaa", "f aaa")},
			[]string{`0 var/lib/dpkg/status.d/base: a link on the way to a package database, which leads to "aaa", where none is looked for`},
		},
		{
			"a loop of links",
			[]*Facts{layer("l var -> var")},
			[]string{`0 var: a link on the way to a package database, which leads to "", where none is looked for`},
		},
		{"a link to another known place", []*Facts{layer("l var/lib/rpm -> ../../usr/lib/sysimage/rpm", "l lib -> usr/lib")}, nil},
		{
			"no database at all",
			[]*Facts{release(layer("f bin/sh"), "debian")},
			[]string{`0 etc/os-release: the image says that it is "debian" and has no package database: its packages have no names`},
		},
		{"no distribution", []*Facts{layer("f app x@1")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, unreadable(test.layers...)); diff != "" {
				t.Errorf("unreadable (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHardLinkThatNobodyReadIsReported(t *testing.T) {
	link := &Facts{Files: []File{{Path: "var/lib/dpkg/status", Hardlink: "aaa", Wanted: []string{"dpkg"}}}}
	if got := unreadable(layer("f aaa"), link); len(got) != 1 {
		t.Errorf("unreadable = %q, want the link", got)
	}
}

func TestManyLayersOverManyFilesTakeNoTime(t *testing.T) {
	base := &Facts{}
	for i := range 100_000 {
		base.Files = append(base.Files, File{Path: fmt.Sprintf("l%d", i), Symlink: "x"})
	}
	layers := []*Facts{base}
	for i := range 10_000 {
		layers = append(layers, layer(fmt.Sprintf("w l%d", i), "d var"))
	}
	start := time.Now()
	var v Inventory
	v.Merge(layers, nil)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("10,000 layers over 100,000 files took %v", took)
	}
}

func TestHardLinksDoNotMultiplyOwnedFiles(t *testing.T) {
	f := &Facts{}
	many := make([]Owned, 100_000)
	for i := range many {
		many[i] = Owned{Path: strings.Repeat("x", i%50), Package: "p", Type: Deb}
	}
	f.Files = append(f.Files, File{Path: "a", Found: []Found{{Owned: many}}})
	for i := range 100_000 {
		f.Files = append(f.Files, File{Path: fmt.Sprintf("b%d", i), Hardlink: "a"})
	}
	start := time.Now()
	if got := unreadable(f); len(got) == 0 {
		t.Error("10,000,000,000 owned files are not too many")
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// FuzzTree compares what layers remove with a look at all that is known.
func FuzzTree(f *testing.F) {
	f.Add("a a/b a/b/c d/e", "w a/b,o d,f a/b,d a")
	f.Add("x/y x/y/z x", "o .,f x/y/z,w x/y,d x/y")
	f.Fuzz(func(t *testing.T, known, layers string) {
		r := &replay{files: map[string]*placed{}, tree: &tree{}}
		want := map[string]bool{}
		for p := range strings.FieldsSeq(known) {
			p = path.Clean(strings.TrimLeft(p, "/"))
			r.files[p] = &placed{}
			r.tree.add(p)
			want[p] = true
		}
		for line := range strings.SplitSeq(layers, ",") {
			op, p, ok := strings.Cut(line, " ")
			if p = path.Clean(strings.TrimLeft(strings.Join(strings.Fields(p), "_"), "/")); !ok || !strings.Contains("w o f d", op) || len(op) != 1 {
				continue
			}
			r.cut(layer(op + " " + p))
			for k := range want {
				under := strings.HasPrefix(k, p+"/") || p == "."
				switch {
				case p == "." && (op == "f" || op == "d"):
				case op == "o" && under, op == "d" && k == p, op != "o" && op != "d" && (k == p || under):
					delete(want, k)
				}
			}
		}
		got := map[string]bool{}
		for p := range r.files {
			got[p] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	})
}

// TestDeepPathsTakeLittleMemory: a layer of few bytes may hold very many elements
// of paths, each of which must not become something of its own.
func TestDeepPathsTakeLittleMemory(t *testing.T) {
	known := &tree{}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 2000 {
		known.add(fmt.Sprintf("%d/%sx", i, strings.Repeat("d/", 200)))
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("2,000 paths of 400 bytes take %d bytes", took)
	}
}
