package luarocks

import (
	"strings"
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestExtract(t *testing.T) {
	scantest.Run(t, Extractor{}, []scantest.Case{
		{
			"a rock", "usr/local/lib/luarocks/rocks-5.3/Inspect/3.1.3-0/rock_manifest", scantest.Data(t, "rock_manifest"),
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
	})
}

func TestExtractRefuses(t *testing.T) {
	scantest.Refuses(t, Extractor{}, map[string]string{
		"lib/luarocks/rocks/a/1/rock_manifest": strings.Repeat("a = {\n", 100),
	})
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
