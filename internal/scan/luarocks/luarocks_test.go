package luarocks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan/scantest"
)

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExtract(t *testing.T) {
	for _, test := range []struct {
		name, path, content string
		want, owned         []string
		unless              string
	}{
		{
			"a rock", "usr/local/lib/luarocks/rocks-5.3/Inspect/3.1.3-0/rock_manifest", testdata(t, "rock_manifest"),
			[]string{"inspect 3.1.3-0"},
			[]string{"usr/local/lib/luarocks/rocks-5.3/Inspect/3.1.3-0/bin/hello inspect md5:7abf18107428feae4203b87457f5205c", "usr/local/bin/hello inspect "},
			"",
		},
		{
			"with a library", "opt/lib/luarocks/rocks-5.1/cjson/2/rock_manifest", "rock_manifest = {\n   lib = {\n      cjson = {\n         [\"safe.so\"] = \"00000000000000000000000000000000\",\n         [\"../../../../bin/x\"] = \"x\"\n      },\n      [\"cjson.so\"] = \"x\"\n   }\n}\n",
			[]string{"cjson 2"},
			[]string{"opt/lib/lua/5.1/cjson/safe.so cjson md5:00000000000000000000000000000000", "opt/lib/lua/5.1/cjson.so cjson "},
			"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !scantest.Wants(Extractor{}, test.path, []byte(test.content)) {
				t.Error("not wanted")
			}
			found, err := Extractor{}.Extract(t.Context(), scantest.File(test.path, []byte(test.content)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" || found.Unless != test.unless {
				t.Errorf("unless %q, components (-want +got):\n%s", found.Unless, diff)
			}
			var owned []string
			for _, o := range found.Owned {
				owned = append(owned, o.Path+" "+o.Package+" "+o.Sum)
			}
			if diff := cmp.Diff(test.owned, owned); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExtractRefuses(t *testing.T) {
	for path, content := range map[string]string{
		"lib/luarocks/rocks/a/1/rock_manifest": strings.Repeat("a = {\n", 100),
	} {
		if _, err := (Extractor{}).Extract(t.Context(), scantest.File(path, []byte(content))); err == nil {
			t.Errorf("%s: %.60q is taken", path, content)
		}
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{"rock_manifest", "src/a/1/rock_manifest"} {
		if scantest.Wants(Extractor{}, path, []byte("Package: ")) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func FuzzExtract(f *testing.F) {
	scantest.Fuzz(f, Extractor{}, "lib/luarocks/rocks-5.4/a/1-1/rock_manifest", "rock_manifest = {\n   bin = {\n      a = \"7abf18107428feae4203b87457f5205c\"\n   }\n}\n")
}
