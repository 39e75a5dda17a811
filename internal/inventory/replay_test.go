package inventory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// layer makes facts from lines such as "f a/b lodash@1" (a recognised file),
// "f a/b" (one that is not), "d a", "l a -> b" (symlink), "h a = b" (hard link),
// "w a" (whiteout), "o a" (opaque).
func layer(lines ...string) *Facts {
	f := &Facts{}
	var paths PathsWriter
	for _, line := range lines {
		w := strings.Fields(line)
		switch w[0] {
		case "w":
			f.Removed = append(f.Removed, w[1])
			continue
		case "o":
			f.Opaque = append(f.Opaque, w[1])
			continue
		case "f":
			if len(w) > 2 {
				f.Files = append(f.Files, File{Path: w[1], Found: []Found{{Method: "npm", Components: components(w[2:]...)}}})
			}
		case "l":
			f.Files = append(f.Files, File{Path: w[1], Symlink: w[3]})
		case "h":
			f.Files = append(f.Files, File{Path: w[1], Hardlink: w[3]})
		}
		paths.Add(w[1], w[0] == "d")
	}
	f.Paths = paths.Paths()
	return f
}

func components(names ...string) (out []Component) {
	for _, n := range names {
		name, version, _ := strings.Cut(n, "@")
		out = append(out, Component{Kind: Library, Type: NPM, Name: name, Version: version})
	}
	return out
}

// seen returns the inventory's components as "name@version: layer path, …".
func seen(v *Inventory) []string { return listed(v.Components) }

func listed(components []Component) (out []string) {
	for _, c := range components {
		var where []string
		for _, e := range c.Evidence {
			one := fmt.Sprintf("%d %s", e.Index, e.Path)
			if e.End != nil {
				one += fmt.Sprintf(" (%s in %d)", e.End.How, e.End.Index)
			}
			where = append(where, one)
		}
		out = append(out, fmt.Sprintf("%s@%s: %s", c.Name, c.Version, strings.Join(where, ", ")))
	}
	return out
}

func TestMerge(t *testing.T) {
	base := layer("d a", "f a/x one@1", "f a/b/y two@1", "f c/z three@1")
	for _, test := range []struct {
		name   string
		layers []*Facts
		want   []string
	}{
		{"one layer", []*Facts{base}, []string{"one@1: 0 a/x", "three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"whiteout of a file", []*Facts{base, layer("w a/x")}, []string{"three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"whiteout of a directory", []*Facts{base, layer("w a")}, []string{"three@1: 0 c/z"}},
		{"whiteout is of the whole name", []*Facts{base, layer("w a/xx", "w c/zz", "w a/b/y/q")}, []string{"one@1: 0 a/x", "three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"whiteout hides lower layers only", []*Facts{base, layer("f a/x one@2", "w a/x")}, []string{"one@2: 1 a/x", "three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"opaque directory", []*Facts{base, layer("o a", "f a/n new@1")}, []string{"new@1: 1 a/n", "three@1: 0 c/z"}},
		{"opaque root", []*Facts{base, layer("o .", "f n new@1")}, []string{"new@1: 1 n"}},
		{"overwritten, recognised", []*Facts{base, layer("f a/x one@2")}, []string{"one@2: 1 a/x", "three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"overwritten, not recognised", []*Facts{base, layer("f a/x")}, []string{"three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"file replaces a directory", []*Facts{base, layer("f a")}, []string{"three@1: 0 c/z"}},
		{"symlink replaces a directory", []*Facts{base, layer("l a -> c")}, []string{"three@1: 0 c/z"}},
		{"directory over a directory", []*Facts{base, layer("d a", "d a/b")}, []string{"one@1: 0 a/x", "three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"directory replaces a file", []*Facts{base, layer("d a/x")}, []string{"three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"hard link keeps a removed file", []*Facts{base, layer("h k = a/x"), layer("w a/x")}, []string{"one@1: 1 k, 0 a/x (removed in 2)", "three@1: 0 c/z", "two@1: 0 a/b/y"}},
		{"hard link in one layer", []*Facts{layer("f x one@1", "h k = x"), layer("w x")}, []string{"one@1: 0 k, 0 x (removed in 1)"}},
		{"hard link keeps the first content", []*Facts{layer("f x one@1", "h k = x", "f x two@1")}, []string{"one@1: 0 k", "two@1: 0 x"}},
		{"hard link through a symlinked directory", []*Facts{layer("l lib -> usr/lib", "f usr/lib/x one@1"), layer("h k = lib/x"), layer("w usr")}, []string{"one@1: 1 k, 0 usr/lib/x (removed in 2)"}},
		{"hard link replaces a file", []*Facts{base, layer("h a/x = c/z")}, []string{"three@1: 0 c/z, 1 a/x", "two@1: 0 a/b/y"}},
		{"removal through a symlink is not believed", []*Facts{layer("l lib -> usr/lib", "f usr/lib/x one@1"), layer("w lib/x")}, []string{"one@1: 0 usr/lib/x"}},
		{"rewritten database", []*Facts{layer("f db one@1 two@1"), layer("f db one@1 two@2 three@1"), layer("f db one@1 two@2")}, []string{"one@1: 0 db", "two@2: 1 db"}},
		{"rewritten after a whiteout in the same layer", []*Facts{layer("f db one@1"), layer("w db", "f db one@1 two@1")}, []string{"one@1: 0 db", "two@1: 1 db"}},
		{"removed, then back", []*Facts{layer("f db one@1"), layer("w db"), layer("f db one@1")}, []string{"one@1: 2 db, 0 db (removed in 1)"}},
		{"two records of one package", []*Facts{layer("f p/b one@1"), layer("f a/b one@1")}, []string{"one@1: 0 p/b, 1 a/b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := &Inventory{}
			v.Merge(test.layers, nil)
			if diff := cmp.Diff(test.want, seen(v)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMergeBoundsComponents(t *testing.T) {
	f := &Facts{Files: []File{{Path: "x", Found: []Found{{Components: make([]Component, 1<<17)}}}}}
	for i := range 20 {
		f.Files = append(f.Files, File{Path: fmt.Sprint("link", i), Hardlink: "x"})
	}
	v := &Inventory{}
	v.Merge([]*Facts{f}, nil)
	if v.Complete() {
		t.Error("copies by hard links are not bounded")
	}
}

func TestOwners(t *testing.T) {
	const path = "usr/lib/python3/dist-packages/x-1.dist-info/METADATA"
	deb := func(version string) File {
		return File{Path: "var/lib/dpkg/status", Found: []Found{{Components: []Component{{Kind: OS, Type: Deb, Name: "python3-x", Version: version}}}}}
	}
	list := File{Path: "var/lib/dpkg/info/python3-x.list", Found: []Found{{Owned: []Owned{{Path: path, Package: "python3-x", Type: Deb}}}}}
	meta := File{Path: path, Found: []Found{{Components: []Component{{Kind: Library, Type: PyPI, Name: "x", Version: "1"}}}}}
	release := File{Path: "etc/os-release", Found: []Found{{Distro: &Distro{ID: "debian", VersionID: "12"}}}}
	const purl = "pkg:deb/debian/python3-x@1-2?distro=debian-12"
	for _, test := range []struct {
		name   string
		layers []*Facts
		want   string
	}{
		{"owned", []*Facts{{Files: []File{release, deb("1-2"), list, meta}}}, purl},
		{"list of another layer", []*Facts{{Files: []File{release, meta}}, {Files: []File{deb("1-2"), list}}}, purl},
		{"package not installed", []*Facts{{Files: []File{release, list, meta}}}, ""},
		{"overwritten after the package came", []*Facts{{Files: []File{release, deb("1-2"), list}}, {Files: []File{meta}, Paths: func() Paths {
			var w PathsWriter
			w.Add(path, false)
			return w.Paths()
		}()}}, ""},
		{"through usr-merge", []*Facts{{Files: []File{release, deb("1-2"), meta, {Path: "lib", Symlink: "usr/lib"}, {Path: list.Path, Found: []Found{{
			Owned: []Owned{{Path: strings.TrimPrefix(path, "usr/"), Package: "python3-x", Type: Deb}},
		}}}}}}, purl},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := &Inventory{}
			v.Merge(test.layers, nil)
			got := "no such component"
			for _, c := range v.Components {
				if c.Type == PyPI {
					got = c.Owner
				}
			}
			if got != test.want {
				t.Errorf("owner = %q, want %q", got, test.want)
			}
		})
	}
}

func TestDistro(t *testing.T) {
	release := func(path, id string) File {
		return File{Path: path, Found: []Found{{Distro: &Distro{ID: id}}}}
	}
	for _, test := range []struct {
		name  string
		files []File
		want  string
	}{
		{"etc first", []File{release("etc/os-release", "a"), release("usr/lib/os-release", "b")}, "a"},
		{"usr/lib alone", []File{release("usr/lib/os-release", "b")}, "b"},
		{"relative link", []File{{Path: "etc/os-release", Symlink: "../usr/lib/os-release"}, release("usr/lib/os-release", "b")}, "b"},
		{"absolute link elsewhere", []File{{Path: "etc/os-release", Symlink: "/opt/os-release"}, release("opt/os-release", "c")}, "c"},
		{"link out of the root stays inside", []File{{Path: "etc/os-release", Symlink: "../../../../x/os-release"}, release("x/os-release", "d")}, "d"},
		{"loop", []File{{Path: "etc/os-release", Symlink: "os-release"}}, ""},
		{"none", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := &Inventory{}
			v.Merge([]*Facts{{Files: test.files}}, nil)
			if v.Distro.ID != test.want {
				t.Errorf("distro = %q, want %q", v.Distro.ID, test.want)
			}
		})
	}
}

func TestUnless(t *testing.T) {
	lock := File{Path: "app/package-lock.json", Found: []Found{{Method: "npm-lock", Unless: "app/node_modules", Components: components("stale@1")}}}
	base := &Facts{Files: []File{lock}}
	v := &Inventory{}
	v.Merge([]*Facts{base}, nil)
	if diff := cmp.Diff([]string{"stale@1: 0 app/package-lock.json"}, seen(v)); diff != "" {
		t.Error(diff)
	}
	v.Merge([]*Facts{base, layer("f app/node_modules/x/package.json x@1")}, nil)
	if diff := cmp.Diff([]string{"x@1: 1 app/node_modules/x/package.json"}, seen(v)); diff != "" {
		t.Error(diff)
	}
}

func TestUnreadableIsPlaced(t *testing.T) {
	v := &Inventory{}
	v.Merge([]*Facts{{Digest: "sha256:a"}, {Digest: "sha256:b", Unreadable: []Unreadable{{Reason: "cut short", Wrong: true}}}}, nil)
	want := []Unreadable{{Layer: "sha256:b", Index: 1, Reason: "cut short", Wrong: true}}
	if diff := cmp.Diff(want, v.Unreadable); diff != "" {
		t.Error(diff)
	}
	if v.Complete() {
		t.Error("complete with an unreadable part")
	}
}

func FuzzPaths(f *testing.F) {
	var w PathsWriter
	w.Add("a/b", true)
	w.Add("a/bc", false)
	f.Add([]byte(w.Paths()))
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var again PathsWriter
		if !Paths(b).Each(func(path []byte, dir bool) { again.Add(string(path), dir) }) {
			return
		}
		var first, second []string
		Paths(b).Each(func(p []byte, dir bool) { first = append(first, fmt.Sprint(string(p), dir)) })
		again.Paths().Each(func(p []byte, dir bool) { second = append(second, fmt.Sprint(string(p), dir)) })
		if diff := cmp.Diff(first, second); diff != "" {
			t.Error(diff)
		}
	})
}
