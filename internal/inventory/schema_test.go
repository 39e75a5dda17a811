package inventory_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"plimsoll/internal/inventory"
)

// schema compiles a published schema with those that it refers to.
func schema(t *testing.T, file string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(nowhere{})
	var id string
	for _, name := range []string{"bom-1.6.schema.json", "spdx.schema.json", "jsf-0.82.schema.json", "spdx-schema-2.3.json"} {
		b, err := os.ReadFile("testdata/schema/" + name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		fields, _ := doc.(map[string]any)
		url, _ := fields["$id"].(string)
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
		if name == file {
			id = url
		}
	}
	s, err := c.Compile(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nowhere loads nothing: all schemas are here.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) { return nil, fmt.Errorf("%q is not carried", url) }

// all is an inventory with every field and every oddity in use.
func all() *inventory.Inventory {
	v := sample()
	const second = "sha256:aa41000000000000000000000000000000000000000000000000000000000000"
	seen := func(confidence float64, path, method string) inventory.Evidence {
		return inventory.Evidence{Layer: second, Index: 1, Path: path, Method: method, Confidence: confidence}
	}
	v.Manifest = "sha256:9c41000000000000000000000000000000000000000000000000000000000000"
	v.Unreadable = []inventory.Unreadable{{Layer: second, Index: 1, Path: "a\nb\xff", Reason: "cut short"}}
	v.Components = append(
		v.Components,
		inventory.Component{
			Kind: inventory.Native, Type: inventory.Generic, Name: "openssl", Version: "3.0.19", Vendor: "OpenSSL <not@mail> (project)", Relation: inventory.Contains,
			CPE: "cpe:2.3:a:openssl:openssl:3.0.19:*:*:*:*:*:*:*", Licences: []string{"apache-2.0"},
			Evidence: []inventory.Evidence{seen(0.8, "usr/local/bin/gateway", "native"), seen(0.95, "opt/a b\n", "native")},
		},
		inventory.Component{
			Kind: inventory.Native, Type: inventory.Generic, Name: "zlib", Version: "1.2.13", Relation: inventory.Links, CPE: "cpe:2.3:a:zlib:zlib:1.2.13", // cut off
			Licences: []string{"Zlib AND (mit OR GPL-2.0+ WITH Classpath-exception-2.0)"}, Evidence: []inventory.Evidence{seen(0.5, "x", "native")},
		},
		inventory.Component{
			Kind: inventory.Library, Type: inventory.Maven, Namespace: "org.example", Name: "b", Version: "", Licences: []string{"MIT", "the one in the file COPYING", "MIT OR ISC"},
			Evidence: []inventory.Evidence{seen(1, "app.war!/WEB-INF/lib/b.jar", "java")},
		},
		inventory.Component{Kind: inventory.Native, Type: inventory.Generic, Name: "c++", CPE: `cpe:2.3:a:x\+\+:c\/d:1.0\~rc1:-:*:*:*:*:*:*`, Evidence: []inventory.Evidence{seen(1, "c", "native")}},
	)
	digits := strings.Repeat("0123456789abcdef", 4)
	open := func(path string, s inventory.Standing, owner, reason string, sums inventory.Sums) inventory.Executable {
		return inventory.Executable{Layer: second, Index: 1, Path: path, Standing: s, Package: owner, Reason: reason, Program: inventory.Program{Form: inventory.ELF, Size: 1, Sums: sums}}
	}
	v.Accounts.Open = []inventory.Executable{
		open("opt/unknown", inventory.Unknown, "", "", inventory.Sums{SHA256: digits}),
		open("usr/bin/changed", inventory.Changed, "pkg:deb/debian/x@1", "", inventory.Sums{MD5: digits[:32], SHA1: digits[:40], SHA256: digits}),
		open("tmp/\xff", inventory.KnownBad, "", "a miner", inventory.Sums{}),
	}
	return v
}

func TestDocumentsAreValid(t *testing.T) {
	for _, standard := range []struct {
		schema string
		write  func(*inventory.Inventory) func(io.Writer) error
	}{
		{"bom-1.6.schema.json", writers()["CycloneDX"]}, {"spdx-schema-2.3.json", writers()["SPDX"]},
	} {
		s := schema(t, standard.schema)
		folder := all()
		folder.Manifest, folder.Created = "", time.Time{}
		for name, v := range map[string]*inventory.Inventory{"all": all(), "folder": folder, "empty": {Image: "x", Components: []inventory.Component{}}} {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(written(t, standard.write(v))))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(doc); err != nil {
				t.Errorf("%s, %s: %v", standard.schema, name, err)
			}
		}
		if err := s.Validate(map[string]any{"bomFormat": "x"}); err == nil {
			t.Errorf("%s takes everything", standard.schema)
		}
	}
}

func TestDocumentsCarryEvidence(t *testing.T) {
	for name, want := range map[string][]string{
		"CycloneDX": {
			`"cpe": "cpe:2.3:a:openssl:openssl:3.0.19:*:*:*:*:*:*:*"`, `"technique": "binary-analysis"`, `"technique": "manifest-analysis"`, `"confidence": 0.95`,
			`"location": "app.war!/WEB-INF/lib/b.jar"`, `"additionalContext": "layer 1 sha256:aa41`, `"value": "native: usr/local/bin/gateway"`, `"value": "links"`,
			`"type": "file"`, `"name": "plimsoll:standing"`, `changed: it is not what pkg:deb/debian/x@1 brought`, `known-bad: a miner`, `"alg": "SHA-1"`,
			`"id": "Apache-2.0"`, `"expression": "Zlib AND (MIT OR GPL-2.0+ WITH Classpath-exception-2.0)"`, `"name": "MIT OR ISC"`, `"name": "OpenSSL <not@mail> (project)"`,
		},
		"SPDX": {
			`"referenceType": "cpe23Type"`, `"primaryPackagePurpose": "FILE"`, `unknown: no package, inventory or known content explains`, `"algorithm": "SHA256"`, `"supplier": "Organization: OpenSSL <not@mail> (project)"`, `"licenseDeclared": "Apache-2.0"`, `"relationshipType": "DYNAMIC_LINK"`,
			`"licenseDeclared": "Zlib AND (MIT OR GPL-2.0+ WITH Classpath-exception-2.0)"`, `app.war!/WEB-INF/lib/b.jar (confidence 1)`, `"comment": "brought by pkg:deb/debian/python3-requests@2.28.1"`,
		},
	} {
		got := string(written(t, writers()[name](all())))
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %s", name, part)
			}
		}
		if strings.Contains(got, "zlib:1.2.13") {
			t.Errorf("%s: has a CPE that is none", name)
		}
	}
}

func TestFoldersWithOtherContentHaveOtherSerials(t *testing.T) {
	for name, write := range writers() {
		v := all()
		v.Manifest = ""
		first := uuids(written(t, write(v)))
		if again := uuids(written(t, write(v))); again != first {
			t.Errorf("%s: %s, then %s", name, first, again)
		}
		v.Components = v.Components[1:]
		if other := uuids(written(t, write(v))); other == first {
			t.Errorf("%s: another content has the same serial", name)
		}
	}
}
