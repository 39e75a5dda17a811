package inventory

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type badList map[string]string

func (l badList) Lookup(s Sums) string { return l[s.SHA256] }
func (badList) Version() string        { return "1" }

// machine returns a file that can run, with what was found in it.
func machine(path, sum string, found ...Found) File {
	return File{Path: path, Found: found, Program: &Program{Form: ELF, Size: 10, Sums: Sums{MD5: "m" + sum, SHA256: "s" + sum}}}
}

func script(path string) File {
	return File{Path: path, Program: &Program{Form: Script, Size: 1, Sums: Sums{SHA256: "s"}}}
}

func standingsOf(v *Inventory) map[string]Standing {
	out := map[string]Standing{}
	for _, e := range v.Accounts.Open {
		out[e.Path] = e.Standing
	}
	return out
}

func dpkgDatabase(owned ...Owned) File {
	for i := range owned {
		owned[i].Package, owned[i].Type = "p", Deb
	}
	return File{Path: "var/lib/dpkg/status", Found: []Found{{Method: "dpkg", Components: []Component{{Kind: OS, Type: Deb, Name: "p", Version: "1"}}, Owned: owned}}}
}

func TestAccounts(t *testing.T) {
	native := Component{Kind: Native, Type: Generic, Name: "zlib", Version: "1", Relation: Contains}
	linked := native
	linked.Relation = Links
	module := Component{Kind: Library, Type: Golang, Name: "m", Version: "1"}
	facts := &Facts{Files: []File{
		{Path: "lib", Symlink: "usr/lib"},
		machine("usr/bin/good", "1"), machine("usr/bin/changed", "2"), machine("usr/bin/unsaid", "3"), machine("usr/lib/merged", "4"),
		machine("usr/bin/go", "5", Found{Method: "gobinary", Components: []Component{module, native}}),
		machine("usr/bin/static", "6", Found{Method: "native", Components: []Component{native}}),
		machine("usr/bin/dynamic", "7", Found{Method: "native", Components: []Component{linked}}),
		machine("usr/bin/virus", "8"), machine("app/node_modules/x/addon.node", "9"), script("app/node_modules/x/cli.js"), script("app/run.sh"),
		{Path: "app/node_modules/x/package.json", Found: []Found{{Method: "npm", Components: components("x@1"), Owned: []Owned{{Path: "app/node_modules/x/", Package: "x", Type: NPM}}}}},
		dpkgDatabase(
			Owned{Path: "usr/bin/good", Sum: "md5:m1"}, Owned{Path: "usr/bin/changed", Sum: "md5:m1"}, Owned{Path: "usr/bin/changed"},
			Owned{Path: "usr/bin/unsaid"}, Owned{Path: "lib/merged", Sum: "sha256:s4"}, Owned{Path: "usr/bin/virus", Sum: "md5:m8"},
		),
	}}
	v := &Inventory{}
	v.Merge([]*Facts{facts}, badList{"s8": "a virus"})
	want := map[string]Standing{
		"usr/bin/changed": Changed, "usr/bin/dynamic": Unknown, "usr/bin/virus": KnownBad, "app/node_modules/x/addon.node": Unknown, "app/run.sh": Unknown,
	}
	if diff := cmp.Diff(want, standingsOf(v)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	got := map[Standing]string{}
	for _, s := range v.Accounts.Tallies {
		got[s.Standing] = fmt.Sprintf("%d %d", s.Files, s.Bytes)
	}
	tallies := map[Standing]string{Packaged: "2 20", Unchecked: "1 10", Embedded: "2 11", Recognised: "1 10", Unknown: "3 21", Changed: "1 10", KnownBad: "1 10"}
	if diff := cmp.Diff(tallies, got); diff != "" {
		t.Errorf("tallies (-want +got):\n%s", diff)
	}
	if v.Accounts.Files != 11 || v.Accounts.Explained != 54.54 {
		t.Errorf("%d files, %v %% explained; want 11 and 54.54", v.Accounts.Files, v.Accounts.Explained)
	}
}

// TestStandingAcrossLayers: the record of a package holds for the layer that it
// came with and those below, unless it says what the content is.
func TestStandingAcrossLayers(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers []*Facts
		want   map[string]Standing
	}{
		{"written over, content recorded", []*Facts{{Files: []File{machine("a", "1"), dpkgDatabase(Owned{Path: "a", Sum: "md5:m1"})}}, {Files: []File{machine("a", "2")}}}, map[string]Standing{"a": Changed}},
		{"written over by the same", []*Facts{{Files: []File{machine("a", "1"), dpkgDatabase(Owned{Path: "a", Sum: "md5:m1"})}}, {Files: []File{machine("a", "1")}}}, map[string]Standing{}},
		{"written over, nothing recorded", []*Facts{{Files: []File{machine("a", "1"), dpkgDatabase(Owned{Path: "a"})}}, {Files: []File{machine("a", "2")}}}, map[string]Standing{"a": Unknown}},
		{"a digest that was not computed", []*Facts{{Files: []File{machine("a", "1"), dpkgDatabase(Owned{Path: "a", Sum: "sha1:1"})}}}, map[string]Standing{"a": Changed}},
		{"a folder in usr that is a link", []*Facts{{Files: []File{{Path: "usr/sbin", Symlink: "bin"}, machine("usr/bin/a", "1"), dpkgDatabase(Owned{Path: "usr/sbin/a", Sum: "md5:m1"})}}}, map[string]Standing{}},
		{"another name by hard link", []*Facts{{Files: []File{machine("a", "1"), {Path: "b", Hardlink: "a"}}}}, map[string]Standing{"a": Unknown, "b": Unknown}},
		{"the package is gone", []*Facts{{Files: []File{machine("a", "1"), dpkgDatabase(Owned{Path: "a", Sum: "md5:m1"})}}, {Files: []File{{Path: "var/lib/dpkg/status"}}, Removed: []string{"var/lib/dpkg/status"}}}, map[string]Standing{"a": Unknown}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, f := range test.layers {
				var w PathsWriter
				for i := range f.Files {
					w.Add(f.Files[i].Path, false)
				}
				f.Paths = w.Paths()
			}
			v := &Inventory{}
			v.Merge(test.layers, nil)
			if diff := cmp.Diff(test.want, standingsOf(v)); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNativeCodeOfPackages: what a distribution's package brought and nobody
// changed is the package; native code in it is not told twice.
func TestNativeCodeOfPackages(t *testing.T) {
	zlib := Found{Method: "native", Components: []Component{{Kind: Native, Type: Generic, Name: "zlib", Version: "1", Relation: Contains}}}
	module := Found{Method: "gobinary", Components: []Component{{Kind: Library, Type: Golang, Name: "m", Version: "1"}}}
	facts := &Facts{Files: []File{
		machine("kept", "1", zlib), machine("changed", "2", zlib), machine("alone", "3", zlib), machine("go", "4", module),
		machine("opt/vendor/tool", "5", zlib),
		dpkgDatabase(Owned{Path: "kept", Sum: "md5:m1"}, Owned{Path: "changed", Sum: "md5:m1"}, Owned{Path: "go", Sum: "md5:m4"}, Owned{Path: "opt/vendor/tool", Sum: "md5:m5"}),
	}}
	v := &Inventory{}
	v.Merge([]*Facts{facts}, nil)
	want := []string{"p@1: 0 var/lib/dpkg/status", "zlib@1: 0 alone, 0 changed, 0 opt/vendor/tool", "m@1: 0 go"}
	if diff := cmp.Diff(want, seen(v)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	for _, c := range v.Components {
		if c.Owner != "" {
			t.Errorf("%s belongs to %s: a program's own inventory is judged by its own advisories", c.Name, c.Owner)
		}
	}
}

// TestFoldersOfPackagesAreRemembered: a script in a folder of a package is
// explained, whichever other scripts were asked about before.
func TestFoldersOfPackagesAreRemembered(t *testing.T) {
	o := owners{folders: map[string]bool{"a/b": true}, under: map[string]bool{}}
	for range 2 {
		for path, want := range map[string]bool{"a/b/x": true, "a/b/c/d/x": true, "a/b": false, "a/x": false, "a/c/x": false, "x": false} {
			if got := o.above(path); got != want {
				t.Errorf("%q is owned: %v, want %v", path, got, want)
			}
		}
	}
}

// TestOnlyADatabaseSaysWhatIsInstalled: native code that was recognised as a
// distribution's, or an SBOM, of the same name changes nothing about who owns.
func TestOnlyADatabaseSaysWhatIsInstalled(t *testing.T) {
	native := Component{Kind: Native, Type: Deb, Name: "p", Version: "2", Relation: Contains}
	stated := Component{Kind: OS, Type: Deb, Name: "p", Version: "1"}
	base := &Facts{Files: []File{machine("usr/bin/p", "1", Found{Method: "native", Components: []Component{native}}), dpkgDatabase(Owned{Path: "usr/bin/p", Sum: "md5:m1"}, Owned{Path: "usr/bin/q"})}}
	over := &Facts{Files: []File{
		machine("usr/bin/q", "2"), machine("zz/copy", "3", Found{Method: "native", Components: []Component{native}}),
		{Path: "zz/sbom", Found: []Found{{Method: "sbom", Components: []Component{stated}, Claimed: []Claim{{Component: stated}}}}},
	}}
	var v Inventory
	v.Merge([]*Facts{base, over}, nil)
	if diff := cmp.Diff(map[string]Standing{"usr/bin/q": Unknown}, standingsOf(&v)); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	for _, c := range v.Components {
		if c.Kind == Native && (len(c.Evidence) != 1 || c.Evidence[0].Path != "zz/copy") {
			t.Errorf("%s is listed for %+v, want the copy only", c.Name, c.Evidence)
		}
	}
}
