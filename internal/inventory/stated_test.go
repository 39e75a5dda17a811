package inventory

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recognisedBy returns a component and the methods by which it was recognised.
func recognisedBy(kind Kind, t Type, name, version string, methods ...string) Component {
	c := Component{Kind: kind, Type: t, Name: name, Version: version}
	for i, m := range methods {
		c.Evidence = append(c.Evidence, Evidence{Index: i, Path: m, Method: m, Confidence: 1})
	}
	return c
}

func TestCheckStated(t *testing.T) {
	present := map[string]string{"bin/ok": "sha256:11", "bin/changed": "sha256:22", "bin/unknown": ""}
	files := func(path, _ string) (string, bool) {
		sum, ok := present[path]
		return sum, ok
	}
	claim := func(c Component, paths ...string) Claim {
		c.Evidence = nil
		out := Claim{Component: c}
		for _, p := range paths {
			out.Files = append(out.Files, Owned{Path: p, Package: c.Name, Type: c.Type, Sum: "sha256:11"})
		}
		return out
	}
	lib := func(version string, methods ...string) Component {
		return recognisedBy(Library, NPM, "a", version, methods...)
	}
	for _, test := range []struct {
		name       string
		components []Component
		claims     []Claim
		want       []string // verdicts
		left       []string // components, with the methods of their evidence
	}{
		{"no SBOM", []Component{lib("1", "npm")}, nil, nil, []string{"a 1 [npm]"}},
		{"confirmed in one", []Component{lib("1", "npm", "sbom")}, nil, []string{"a 1 confirmed"}, []string{"a 1 [npm sbom]"}},
		{
			"confirmed by one of another kind",
			[]Component{recognisedBy(OS, Deb, "Zlib", "1", "dpkg"), recognisedBy(Library, Deb, "zlib", "1", "sbom")},
			nil,
			[]string{"zlib 1 confirmed"},
			[]string{"Zlib 1 [dpkg sbom]"},
		},
		{
			"a Go module with and without v",
			[]Component{recognisedBy(Application, Golang, "x", "v1.2.3", "gobinary"), recognisedBy(Library, Golang, "x", "1.2.3", "sbom")},
			nil,
			[]string{"x 1.2.3 confirmed"},
			[]string{"x v1.2.3 [gobinary sbom]"},
		},
		{
			"contradicted",
			[]Component{lib("1", "npm"), lib("2", "sbom")},
			nil,
			[]string{"a 2 contradicted: 1"},
			[]string{"a 1 [npm]", "a 2 [sbom]"},
		},
		{"two of them agree, nobody else", []Component{lib("1", "sbom", "sbom")}, nil, []string{"a 1 unconfirmed"}, []string{"a 1 [sbom sbom]"}},
		{"its files are there", []Component{lib("1", "sbom")}, []Claim{claim(lib("1"), "bin/ok", "bin/unknown")}, []string{"a 1 unconfirmed"}, []string{"a 1 [sbom]"}},
		{"some of its files are there", []Component{lib("1", "sbom")}, []Claim{claim(lib("1"), "bin/gone", "bin/ok")}, []string{"a 1 unconfirmed"}, []string{"a 1 [sbom]"}},
		{"a file was changed", []Component{lib("1", "sbom")}, []Claim{claim(lib("1"), "bin/ok", "bin/changed")}, []string{"a 1 altered: bin/changed"}, []string{"a 1 [sbom]"}},
		{"no file is there", []Component{lib("1", "sbom")}, []Claim{claim(lib("1"), "bin/gone")}, []string{"a 1 absent: bin/gone"}, nil},
		{"no file is there, but others saw it", []Component{lib("1", "npm", "sbom")}, []Claim{claim(lib("1"), "bin/gone")}, []string{"a 1 absent: bin/gone"}, []string{"a 1 [npm sbom]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := &Inventory{Components: test.components}
			var verdicts, left []string
			for _, s := range v.CheckStated("sbom", test.claims, files) {
				line := fmt.Sprintf("%s %s %s", s.Component.Name, s.Component.Version, s.Verdict)
				if s.Detail != "" {
					line += ": " + s.Detail
				}
				verdicts = append(verdicts, line)
			}
			for _, c := range v.Components {
				var methods []string
				for _, e := range c.Evidence {
					methods = append(methods, e.Method)
				}
				left = append(left, fmt.Sprintf("%s %s %v", c.Name, c.Version, methods))
			}
			if diff := cmp.Diff(test.want, verdicts); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.left, left); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func ExampleInventory_CheckStated() {
	v := &Inventory{Components: []Component{
		{Kind: Library, Type: PyPI, Name: "six", Version: "1.16.0", Evidence: []Evidence{{Path: "six-1.16.0.dist-info/METADATA", Method: "python"}}},
		{Kind: Library, Type: PyPI, Name: "six", Version: "1.15.0", Evidence: []Evidence{{Path: "bom.json", Method: "sbom"}}},
	}}
	for _, s := range v.CheckStated("sbom", nil, nil) {
		fmt.Println(s.Component.Name, s.Component.Version, s.Verdict, s.Detail)
	}
	// Output: six 1.15.0 contradicted 1.16.0
}
