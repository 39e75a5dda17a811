package python

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
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

func owned(f inventory.Found) (out []string) {
	for _, o := range f.Owned {
		out = append(out, strings.TrimSpace(o.Path+" "+o.Package+" "+string(o.Type)+" "+o.Sum))
	}
	return out
}

func TestRecords(t *testing.T) {
	const site = "usr/local/lib/python3.11/site-packages/"
	for _, test := range []struct {
		name, path string
		content    []byte
		want       []string
	}{
		{
			"a library", site + "rpds_py-0.30.0.dist-info/RECORD", testdata(t, "rpds-RECORD"),
			[]string{
				site + "rpds/ rpds-py pypi",
				site + "rpds/rpds.cpython-311-x86_64-linux-gnu.so rpds-py pypi sha256:f38d5b6c8311952b45028c73780cb8fc6128fd1f1a84f34210229c8aee881995",
			},
		},
		{
			"a program", site + "jsonschema-4.26.0.dist-info/RECORD", testdata(t, "jsonschema-RECORD"),
			[]string{
				"usr/local/bin/jsonschema jsonschema pypi sha256:68552a38f64a110710d5671a277d0f9dfa924f09b3f197fcbe69bce49adf7117",
				site + "jsonschema/ jsonschema pypi",
			},
		},
		{
			"other hashes, quotes, odd paths", "opt/a_B.c-1.dist-info/RECORD",
			[]byte("\"x/a,b.so\",md5=abc,1\n/usr/bin/y,sha256=short,1\n../../../../etc/z,,\nx.py,,\n\n../scripts/p,,\n"),
			[]string{"opt/x/a,b.so a-b-c pypi", "opt/x/ a-b-c pypi", "usr/bin/y a-b-c pypi", "scripts/p a-b-c pypi"},
		},
		{
			"pip --target", "app/a-1.dist-info/RECORD", []byte("../../bin/a,,\n"),
			nil,
		},
		{
			"pip --target, deeper", "srv/x/app/a-1.dist-info/RECORD", []byte("../../bin/a,,\n"),
			[]string{"srv/bin/a a pypi", "srv/x/app/bin/a a pypi"},
		},
		{
			"egg-info", "usr/lib/python3/dist-packages/a-1.egg-info/installed-files.txt", []byte("../a/__init__.py\n../../../../bin/a\nPKG-INFO\n"),
			[]string{"usr/lib/python3/dist-packages/a/ a pypi", "usr/bin/a a pypi"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !scantest.Wants(Records{}, test.path, nil) {
				t.Error("not wanted")
			}
			found, err := Records{}.Extract(t.Context(), scantest.File(test.path, test.content))
			if err != nil {
				t.Fatal(err)
			}
			got := owned(found)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := (Records{}).Extract(t.Context(), scantest.File("a.dist-info/RECORD", []byte("\"a\nb"))); err == nil {
		t.Error("half a line is taken")
	}
}

func TestConda(t *testing.T) {
	for _, test := range []struct {
		name string
		want []string
		own  []string
	}{
		{"zlib-1.2.11-h90dfc92_1014.json", []string{"zlib 1.2.11"}, []string{
			"opt/conda/lib/libz.dylib zlib conda", // a symlink, of which there is no hash
		}},
		{"openssl-1.1.1q-h7f8727e_0.json", []string{"openssl 1.1.1q"}, []string{
			"opt/conda/bin/c_rehash openssl conda sha256:fc2a6b708cccb8ba90d20e54a9b07257fce009bf315a36f73d3e542dd8674921",
			"opt/conda/<SNIP> openssl conda", // as the sample was shortened
		}},
	} {
		path := "opt/conda/conda-meta/" + test.name
		if !scantest.Wants(Conda{}, path, nil) {
			t.Errorf("%s is not wanted", path)
		}
		found, err := Conda{}.Extract(t.Context(), scantest.File(path, testdata(t, test.name)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
			t.Errorf("components (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(test.own, owned(found)); diff != "" {
			t.Errorf("owned (-want +got):\n%s", diff)
		}
	}
	if _, err := (Conda{}).Extract(t.Context(), scantest.File("conda-meta/a.json", []byte(`{"version": "1"}`))); err == nil {
		t.Error("a record without a name is taken")
	}
}

// archive returns a zip of names and contents in turn, behind a prefix.
func archive(t testing.TB, prefix string, files ...string) []byte {
	t.Helper()
	b := bytes.NewBufferString(prefix)
	w := zip.NewWriter(b)
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

func TestArchives(t *testing.T) {
	for _, test := range []struct {
		path    string
		content []byte
		want    []string
		inside  string
	}{
		{"usr/share/python-wheels/wheel-0.38.4-py3-none-any.whl", testdata(t, "wheel-0.38.4-py3-none-any.whl"), []string{"wheel 0.38.4"}, "wheel-0.38.4.dist-info/METADATA"},
		{"x/old-1.egg", archive(t, "", "EGG-INFO/PKG-INFO", "Name: old\nVersion: 1\n", "old/PKG-INFO", "Name: no\n"), []string{"old 1"}, "EGG-INFO/PKG-INFO"},
		{
			"usr/local/bin/tool.pex", archive(t, "#!/usr/bin/env python3\n", ".deps/a.whl/a-1.dist-info/METADATA", "Name: a\nVersion: 1\n", "b-2.dist-info/METADATA", "Name: b\nVersion: 2\n"),
			[]string{"a 1", "b 2"},
			".deps/a.whl/a-1.dist-info/METADATA",
		},
		{"x/plain.pyz", archive(t, "#!/usr/bin/env python3\n", "__main__.py", "print()"), nil, ""},
	} {
		if !scantest.Wants(Archives{}, test.path, test.content) {
			t.Errorf("%s is not wanted", test.path)
		}
		found, err := Archives{}.Extract(t.Context(), scantest.File(test.path, test.content))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.path, diff)
		}
		if len(found.Components) > 0 && found.Components[0].Evidence[0].Path != test.path+"!/"+test.inside {
			t.Errorf("%s: evidence %v", test.path, found.Components[0].Evidence)
		}
	}
	if scantest.Wants(Archives{}, "usr/local/lib/python3.8/test/test_importlib/data/example-21.12-py3-none-any.whl", []byte("PK\x03\x04")) {
		t.Error("a wheel of CPython's tests is wanted")
	}
	for _, content := range [][]byte{
		[]byte("PK\x03\x04 and nothing else"),
		archive(t, "", "a.dist-info/METADATA", "Version: 1\n"),
		archive(t, "", "a.dist-info/METADATA", "Name: a\nName: b\n"),
	} {
		if _, err := (Archives{}).Extract(t.Context(), scantest.File("a.whl", content)); err == nil {
			t.Errorf("%.60q is taken", content)
		}
	}
}

func FuzzRecords(f *testing.F) {
	scantest.Fuzz(f, Records{}, "site-packages/a-1.dist-info/RECORD", "../../bin/a,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n\"x,y.so\",,\n")
}

func FuzzConda(f *testing.F) {
	scantest.Fuzz(f, Conda{}, "conda-meta/a.json", `{"name": "a", "version": "1", "files": ["bin/a"], "paths_data": {"paths": [{"_path": "bin/a", "path_type": "hardlink", "sha256": "00"}]}}`)
}

func FuzzArchives(f *testing.F) {
	scantest.Fuzz(f, Archives{}, "a.whl", string(archive(f, "", "a-1.dist-info/METADATA", "Name: a\nVersion: 1\n")))
}
