package native

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

const entry = `
- product: demo
  vendor: example
  cpe: example:demo
  purl: pkg:generic/demo
  fact: "demo.c"
  kind: library
  patterns:
    - anchor: "demolib "
      regexp: 'demolib (?P<version>[0-9.]+)'
  samples: [{file: x, version: 1.0}]
`

// load reads one file of products.
func load(text string) ([]Product, error) {
	return Load(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}})
}

func TestLoad(t *testing.T) {
	products, err := Load(fstest.MapFS{
		"b.yaml": &fstest.MapFile{Data: []byte(strings.Replace(entry, "demo\n", "second\n", 1))},
		"a.yaml": &fstest.MapFile{Data: []byte(strings.Replace(entry, `"demolib "`, `"\xfddemo\0"`, 1))},
		"c.txt":  &fstest.MapFile{Data: []byte("not one of them")},
		"d.yaml": &fstest.MapFile{Data: []byte("# nothing but a comment\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(products) != 2 || products[0].Product != "demo" || products[1].Product != "second" {
		t.Fatalf("read %+v", products)
	}
	if diff := cmp.Diff(literal("\xfddemo\x00"), products[0].Patterns[0].Anchor); diff != "" {
		t.Errorf("an anchor's characters are bytes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(list{"example:demo"}, products[0].CPE); diff != "" {
		t.Errorf("cpe (-want +got):\n%s", diff)
	}
}

// TestLoadRefuses: what is wrong in a file of products is found when it is read,
// and named.
func TestLoadRefuses(t *testing.T) {
	for _, test := range []struct{ name, old, with, want string }{
		{"an unknown field", "  kind:", "  kinds: library\n  kind:", "kinds"},
		{"no name", "product: demo", "product: Demo", `"Demo"`},
		{"no kind", "kind: library", "kind: thing", `kind "thing"`},
		{"no fact", `"demo.c"`, `""`, "fact"},
		{"no such preference", "  kind:", "  prefer: newest\n  kind:", `"newest"`},
		{"an epoch without a source", "  kind:", "  epoch: 1\n  kind:", "epoch"},
		{"no vendor in the CPE", "example:demo", "demo", `cpe "demo"`},
		{"a version in the package URL", "pkg:generic/demo", "pkg:generic/demo@1", "pkg:generic/NAME"},
		{"another type of package URL", "pkg:generic/demo", "pkg:npm/demo", "pkg:generic/NAME"},
		{"no package URL", "pkg:generic/demo", "demo", "purl"},
		{"a short anchor", `"demolib "`, `"demo"`, "6 to 256 bytes"},
		{"an anchor of one byte", `"demolib "`, `"\0\0\0\0\0\0\0"`, "over and over"},
		{"an anchor of wide characters", `"demolib "`, `"demo→lib"`, "more than one byte"},
		{"a short text elsewhere", "  kind:", "  not: fork\n  kind:", "6 to 256 bytes"},
		{"an expression that is none", `(?P<version>[0-9.]+)`, `(?P<version>[0-9.]+`, "missing closing"},
		{"no version in the expression", `(?P<version>[0-9.]+)`, `[0-9.]+`, "no group named version"},
		{"no expression", "regexp:", "bare: '[0-9]'\n      regexp:", "not both"},
		{"a wide window", "regexp:", "before: 5000\n      regexp:", "4096"},
		{"a wide reach", "regexp:", "reach: 99999999999\n      regexp:", "reach"},
		{"more than sure", "regexp:", "confidence: 1.5\n      regexp:", "confidence"},
		{"no samples", "samples: [{file: x, version: 1.0}]", "samples: []", "no samples"},
		{"a sample of nothing", "{file: x, version: 1.0}", "{version: 1.0}", "a sample has"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(entry, test.old, test.with, 1)
			if text == entry {
				t.Fatalf("the entry has no %q", test.old)
			}
			_, err := load(text)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `"a.yaml"`) {
				t.Errorf("err = %v, want one that names the file and %q", err, test.want)
			}
		})
	}
}

func TestLoadBoundsFiles(t *testing.T) {
	if _, err := load(strings.Repeat("#", maxProductFile+1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("err = %v, want invalid", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(entry)
	f.Add("- product: x\n  patterns: [{anchor: [1]}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		products, err := load(text)
		if err != nil {
			return
		}
		if _, err := NewSet(products); err != nil {
			t.Errorf("what was read cannot be used: %v", err)
		}
	})
}
