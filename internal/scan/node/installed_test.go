package node

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/scantest"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestInstalledPackageExplainsItsFolder(t *testing.T) {
	for _, test := range []struct {
		path, sample string
		want         []string
		owned        []inventory.Owned
	}{
		{
			"app/node_modules/node-forge/package.json", "node-forge.json",
			[]string{"node-forge 0.9.0"},
			[]inventory.Owned{{Path: "app/node_modules/node-forge/", Package: "node-forge", Type: inventory.NPM}},
		},
		{
			"node_modules/@babel/parser/package.json", "babel-parser.json",
			[]string{"@babel/parser 7.0.0"},
			[]inventory.Owned{{Path: "node_modules/@babel/parser/", Package: "parser", Type: inventory.NPM}},
		},
		{"app/package.json", "node-forge.json", []string{"node-forge 0.9.0"}, nil},
	} {
		found, err := Packages{}.Extract(t.Context(), scantest.File(test.path, testdata(t, test.sample)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.path, diff)
		}
		if diff := cmp.Diff(test.owned, found.Owned); diff != "" {
			t.Errorf("%s: owned (-want +got):\n%s", test.path, diff)
		}
	}
}

func TestFixtureInAPackageIsNotInstalled(t *testing.T) {
	if scantest.Wants(Packages{}, "app/node_modules/node-forge/flash/package.json", testdata(t, "node-forge-flash.json")) {
		t.Error("a package.json inside of a package counts")
	}
}

func TestProgramWithoutVersion(t *testing.T) {
	for _, content := range []string{`{"name": "a"}`, `{"version": "1"}`, `{"type": "module"}`} {
		found, err := Packages{}.Extract(t.Context(), scantest.File("app/package.json", []byte(content)))
		if err != nil || !found.Empty() {
			t.Errorf("%s: %+v, %v", content, found, err)
		}
	}
}

func TestBun(t *testing.T) {
	found, err := Locks{}.Extract(t.Context(), scantest.File("app/bun.lock", testdata(t, "bun.lock")))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"axios 1.6.0", "follow-redirects 1.15.3", "lodash 4.17.21"}
	if diff := cmp.Diff(want, scantest.Summary(found.Components)); diff != "" || found.Unless != "app/node_modules" {
		t.Errorf("unless %q, components (-want +got):\n%s", found.Unless, diff)
	}
}

// archive returns a zip of names and contents in turn.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZips(t *testing.T) {
	const path = "app/.yarn/cache/@babel-parser-npm-7.0.0-0123456789-abcdef0123.zip"
	forge := string(testdata(t, "node-forge.json"))
	b := archive(t,
		"node_modules/@babel/parser/package.json", string(testdata(t, "babel-parser.json")),
		"node_modules/@babel/parser/test/package.json", forge,
		"node_modules/@babel/parser/node_modules/node-forge/package.json", forge)
	found, err := Zips{}.Extract(t.Context(), scantest.File(path, b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"@babel/parser 7.0.0", "node-forge 0.9.0"}, scantest.Summary(found.Components)); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	if got := found.Components[0].Evidence[0].Path; got != path+"!/node_modules/@babel/parser/package.json" {
		t.Errorf("evidence path %q", got)
	}
	broken := archive(t, "node_modules/a/package.json", `{"name": "a", "version": "1"}`, "node_modules/b/package.json", "{")
	if found, err = (Zips{}).Extract(t.Context(), scantest.File(path, broken)); err == nil || len(found.Components) != 1 {
		t.Errorf("half a package.json: %d components, %v", len(found.Components), err)
	}
}

func FuzzZips(f *testing.F) {
	scantest.Fuzz(f, Zips{}, ".yarn/cache/a.zip", string(archive(f, "node_modules/a/package.json", `{"name": "a", "version": "1"}`)))
}

func FuzzBun(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "bun.lock", `{"packages": {"a": ["a@1.0.0", "",], /* b */}}`)
}
