package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"plimsoll/internal/advisory"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
)

// holes is a result with all that a log may hold.
func holes() (*scanResult, *inventory.Inventory) {
	at := []inventory.Evidence{
		{Layer: "sha256:aa", Path: "app/node_modules/a b:c/package.json", Method: "npm", Confidence: 1},
		{Layer: "sha256:bb", Index: 1, Path: "x:y\n", Method: "npm", Confidence: 0.5},
	}
	lodash := inventory.Component{Kind: inventory.Library, Type: inventory.NPM, Name: "lodash", Version: "4.17.4", Evidence: at}
	unknown := inventory.Component{Kind: inventory.Native, Type: inventory.Generic, Name: "zlib", Evidence: at[:1]}
	return &scanResult{
		Image: "oci:app", Uncovered: "there are no advisories for x",
		Findings: []finding.Finding{
			{ID: "CVE-1", Component: lodash, Severity: advisory.Critical, Score: 9.8, Fixed: "4.17.21", Exploited: true, Summary: "a <hole>", Advice: "upgrade", URL: "https://example.com/1"},
			{ID: "CVE-1", Component: unknown, Severity: advisory.Critical, Advice: "wait", URL: "javascript:alert(1)"},
			{ID: "CVE-2", Component: lodash, Severity: advisory.Unknown, Advice: "wait", URL: "javascript:alert(1)"},
			{ID: "CVE-3", Component: lodash, Severity: advisory.Low, Advice: "wait"},
		},
		Unreadable: []inventory.Unreadable{{Layer: "sha256:bb", Index: 1, Reason: "cut short"}, {Layer: "sha256:bb", Index: 1, Path: "a%b", Reason: "no JSON"}},
	}, &inventory.Inventory{}
}

func TestSARIFIsValid(t *testing.T) {
	b, err := os.ReadFile("testdata/sarif/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(sarifSchema, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	full, inv := holes()
	for name, r := range map[string]*scanResult{"full": full, "empty": {Image: "x", Complete: true}} {
		b, err := sarif(r, inv)
		if err != nil {
			t.Fatal(err)
		}
		log, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(log); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSARIFSaysWhatWasFound(t *testing.T) {
	b, err := sarif(holes())
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	for part, times := range map[string]int{
		`"ruleId": "CVE-1"`: 2, `"id": "CVE-1"`: 1, `"level": "error"`: 5, `"level": "warning"`: 1, `"level": "note"`: 1, `"security-severity": "9.8"`: 1,
		`"helpUri": `: 1, "javascript": 0, `"uri": "app/node_modules/a%20b:c/package.json"`: 4, `"uri": "./x:y%0A"`: 3, `"uri": "a%25b"`: 1,
		`"executionSuccessful": false`: 1, "there are no advisories for x": 1, "It is being exploited.": 1, `"purl": "pkg:npm/lodash@4.17.4"`: 3,
	} {
		if n := strings.Count(got, part); n != times {
			t.Errorf("%s is there %d times, want %d", part, n, times)
		}
	}
}
