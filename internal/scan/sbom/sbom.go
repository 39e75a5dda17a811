// Package sbom reads the bills of materials that already lie in an image:
// CycloneDX as JSON and XML, SPDX 2 as JSON and as tags and values (Bitnami,
// Chainguard, Docker's hardened images, PEP 770), SPDX 3 as JSON. Other forms
// (SPDX as RDF or YAML, protobuf) are not looked at.
//
// What such a document states is a claim of whoever wrote it: its components
// come with the confidence [Believed] and are never packages of the
// distribution, by which others could be explained; whether they are true is
// found out when everything else is known ([inventory.Inventory.CheckStated]).
package sbom

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/package-url/packageurl-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Extractor is a [scan.Extractor] of bills of materials.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

// Believed is the confidence in what an SBOM states.
const Believed = 0.5

const (
	maxDocument = 64 << 20 // bytes
	maxNested   = 100      // components in each other
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "sbom" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor]: files whose name or beginning says what
// they are. Those of a package inside of node_modules or site-packages state what
// its maker built it with, except where PEP 770 puts those of its content.
func (Extractor) Wants(e image.Entry, head []byte) bool {
	switch base := path.Base(e.Path); {
	case strings.HasSuffix(base, ".spdx"):
		return bytes.Contains(head, []byte("SPDXVersion:")) || begins(head, '{') && spdx(head)
	case strings.HasSuffix(base, ".xml"):
		return bytes.Contains(head, []byte("cyclonedx.org/schema/bom")) && ours(e.Path)
	case strings.HasSuffix(base, ".json"):
		return begins(head, '{') && (spdx(head) || bytes.Contains(head, []byte(`"bomFormat"`)) || named(base)) && ours(e.Path)
	}
	return false
}

// named reports whether a JSON file's name says that it is a bill of materials:
// its beginning may say other things first.
func named(base string) bool {
	return base == "bom.json" || base == "sbom.json" || strings.HasSuffix(base, ".cdx.json") || strings.HasSuffix(base, ".spdx.json")
}

func spdx(head []byte) bool {
	return bytes.Contains(head, []byte(`"spdxVersion"`)) || bytes.Contains(head, []byte("spdx.org/rdf/3"))
}

func begins(head []byte, with byte) bool {
	for _, b := range head {
		switch b {
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf: // white space, a byte order mark
			continue
		}
		return b == with
	}
	return false
}

func ours(p string) bool {
	for element := range strings.SplitSeq(p, "/") {
		switch element {
		case "node_modules", "testdata", "fixtures", "test-fixtures":
			return false
		case "site-packages", "dist-packages":
			return strings.Contains(p, ".dist-info/sboms/")
		}
	}
	return true
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	head := make([]byte, min(content.Size(), 512))
	if _, err := io.ReadFull(io.NewSectionReader(content, 0, content.Size()), head); err != nil {
		return inventory.Found{}, fmt.Errorf("read its beginning: %w", err)
	}
	f.Reader = io.NewSectionReader(content, 0, content.Size())
	var d document
	switch {
	case strings.HasSuffix(f.Path, ".xml"):
		err = d.xml(f)
	case begins(head, '{'):
		err = d.json(f)
	default:
		err = d.tags(f)
	}
	return d.found(), err
}

// document is what a bill of materials states.
type document struct {
	components metadata.List
	files      [][]inventory.Owned // of each component
	count      int                 // of files
}

// found returns it. The first component is claimed with or without files: claims
// are what tells a document that must be checked from a record.
func (d *document) found() inventory.Found {
	found := inventory.Found{Components: d.components}
	for i := range d.components {
		if i == 0 || len(d.files[i]) > 0 {
			found.Claimed = append(found.Claimed, inventory.Claim{Component: d.components[i], Files: d.files[i]})
		}
	}
	return found
}

// stated is one component as any of the forms states it.
type stated struct {
	name, version, purl, cpe string
	what                     string // the form's own word for what it is, in lower case
	scope                    string // CycloneDX's
	licences                 []string
	files                    []inventory.Owned // with Path and Sum
}

// add adds what a component is, if it is something that can be in an image.
func (d *document) add(s *stated) error {
	switch s.what {
	case "file", "container", "operating-system", "operating_system", "source", "device", "data", "archive", "platform", "cryptographic-asset":
		return nil
	}
	c, ok := component(s)
	if !ok || s.scope == "excluded" {
		return nil
	}
	if d.count += len(s.files); d.count > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d files", scan.MaxComponents)
	}
	for i := range s.files {
		s.files[i].Package, s.files[i].Type = c.Name, c.Type
	}
	d.files = append(d.files, s.files)
	return d.components.Add(c)
}

// component returns what the package URL names. Without one, the name counts
// only beside a CPE: names alone say nothing about what is meant.
func component(s *stated) (inventory.Component, bool) {
	c := inventory.Component{
		Kind: inventory.Library, Type: inventory.Generic, Name: s.name, Version: s.version, CPE: cpe(s.cpe), Licences: s.licences,
		Evidence: []inventory.Evidence{{Confidence: Believed}},
	}
	if s.purl == "" {
		return c, s.name != "" && c.CPE != ""
	}
	p, err := packageurl.FromString(s.purl)
	if err != nil || p.Name == "" {
		return c, false
	}
	switch p.Type {
	case "docker", "oci", "swid", "github", "huggingface":
		return c, false // images and sources, not what is in them
	}
	qualifiers := p.Qualifiers.Map()
	c.Type, c.Namespace, c.Name, c.Version = inventory.Type(p.Type), p.Namespace, p.Name, p.Version
	switch c.Type { //nolint:exhaustive // of the others the name is as it is written
	case inventory.Deb, inventory.Apk, inventory.RPM, inventory.ALPM:
		c.Arch = qualifiers["arch"]
		if epoch := qualifiers["epoch"]; epoch != "" && epoch != "0" && c.Type == inventory.RPM {
			c.Version = epoch + ":" + c.Version
		}
	case inventory.NPM: // often written as one name: pkg:npm/%40babel%2Fcore
		if scope, name, ok := strings.Cut(c.Name, "/"); ok && c.Namespace == "" {
			c.Namespace, c.Name = scope, name
		}
	case inventory.PyPI:
		c.Name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(c.Name))
	}
	return c, true
}

// cpe returns a name of CPE 2.3 with all its parts, of which people leave out the
// last and Bitnami the first, or "".
func cpe(s string) string {
	rest, ok := strings.CutPrefix(s, "cpe:2.3:")
	parts := 1 + strings.Count(rest, ":") - strings.Count(rest, `\:`)
	if !ok || parts < 4 || parts > 11 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	if after, ok := strings.CutPrefix(rest, "*:"); ok {
		rest = "a:" + after
	}
	return "cpe:2.3:" + rest + strings.Repeat(":*", 11-parts)
}

// file returns a file that a component is said to have, if it is one that may be
// run.
func file(name, algorithm, sum string) (inventory.Owned, bool) {
	p, ok := metadata.Inside(".", name)
	if !ok || !metadata.MayRun(p) {
		return inventory.Owned{}, false
	}
	o := inventory.Owned{Path: p}
	switch algorithm = strings.ToLower(strings.ReplaceAll(algorithm, "-", "")); {
	case algorithm == "md5" && len(sum) == 32, algorithm == "sha1" && len(sum) == 40, algorithm == "sha256" && len(sum) == 64:
		o.Sum = algorithm + ":" + strings.ToLower(sum)
	}
	return o, true
}
