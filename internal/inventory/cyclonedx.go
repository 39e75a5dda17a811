package inventory

import (
	"io"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"plimsoll/internal/ref"
)

// WriteCycloneDX writes the inventory as CycloneDX 1.6 JSON. The evidence for a
// component is in evidence.identity and evidence.occurrences, in the inventory's
// order. What the standard has no field for are properties: plimsoll:layer,
// plimsoll:layerIndex, plimsoll:path, plimsoll:method and plimsoll:confidence for
// each piece of evidence in turn, then plimsoll:relation, plimsoll:source and
// plimsoll:owner; and plimsoll:unreadable of the document. With unreadable parts
// the composition is declared incomplete. Files that can run and that nothing
// explains are components of type file, with plimsoll:standing and plimsoll:form.
func (v *Inventory) WriteCycloneDX(w io.Writer) error {
	bom := v.document().cyclonedx()
	return write(w, "CycloneDX", func(w io.Writer) error {
		return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	})
}

func (d document) cyclonedx() *cdx.BOM {
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + d.serial("cyclonedx")
	image := cdx.Component{
		BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: d.Image, Version: string(d.Manifest),
		Properties: properties("plimsoll:platform", d.Platform), Hashes: hashesOf(d.Manifest),
	}
	bom.Metadata = &cdx.Metadata{
		Timestamp: d.timestamp(),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "plimsoll"}}},
		Component: &image,
	}
	all := make([]cdx.Component, 0, len(d.Components)+1)
	if d.Distro.ID != "" {
		all = append(all, cdx.Component{
			BOMRef: "distribution", Type: cdx.ComponentTypeOS, Name: d.Distro.ID, Version: d.Distro.VersionID, Description: d.Distro.Name,
		})
	}
	for i := range d.Components {
		all = append(all, d.component(i))
	}
	for i := range d.Accounts.Open {
		all = append(all, d.openFile(i))
	}
	bom.Components = &all
	bom.Compositions = &[]cdx.Composition{d.composition()}
	if len(d.Unreadable) > 0 {
		var lines []string
		for i := range d.Unreadable {
			lines = append(lines, "plimsoll:unreadable", d.Unreadable[i].says())
		}
		bom.Properties = properties(lines...)
	}
	return bom
}

func (d document) component(i int) cdx.Component {
	c := &d.Components[i]
	pairs := make([]string, 0, 6+10*len(c.Evidence))
	for _, e := range c.present() {
		pairs = append(pairs, "plimsoll:layer", string(e.Layer), "plimsoll:layerIndex", strconv.Itoa(e.Index), "plimsoll:path", e.Path,
			"plimsoll:method", e.Method, "plimsoll:confidence", decimal(e.sure()))
	}
	if c.Relation != "" {
		pairs = append(pairs, "plimsoll:relation", string(c.Relation))
	}
	if c.SourceName != "" {
		pairs = append(pairs, "plimsoll:source", c.SourceName+"@"+c.SourceVersion)
	}
	if c.Owner != "" {
		pairs = append(pairs, "plimsoll:owner", c.Owner)
	}
	out := cdx.Component{
		BOMRef: d.refs[i], Type: cdx.ComponentTypeLibrary, Group: c.Namespace, Name: c.Name, Version: c.Version,
		PackageURL: d.PURL(c), CPE: validCPE(c.CPE), Licenses: licencesOf(c), Properties: properties(pairs...), Evidence: d.evidence(c),
	}
	if c.Kind == Application {
		out.Type = cdx.ComponentTypeApplication
	}
	if c.Vendor != "" {
		out.Supplier = &cdx.OrganizationalEntity{Name: c.Vendor}
	}
	return out
}

// evidence says how the component was recognised and where.
func (d document) evidence(c *Component) *cdx.Evidence {
	purl := cdx.EvidenceIdentity{Field: cdx.EvidenceIdentityFieldTypePURL, ConcludedValue: d.PURL(c)}
	var methods []cdx.EvidenceIdentityMethod
	var occurrences []cdx.EvidenceOccurrence
	sure := 0.0
	for _, e := range c.present() {
		sure = max(sure, e.sure())
		methods = append(methods, cdx.EvidenceIdentityMethod{
			Technique: technique(c, e.Method), Confidence: float(e.sure()), Value: e.Method + ": " + e.Path,
		})
		occurrences = append(occurrences, occurrence(e.Path, e.Index, e.Layer))
	}
	purl.Confidence, purl.Methods = float(sure), &methods
	identities := []cdx.EvidenceIdentity{purl}
	if cpe := validCPE(c.CPE); cpe != "" {
		same := purl
		same.Field, same.ConcludedValue = cdx.EvidenceIdentityFieldTypeCPE, cpe
		identities = append(identities, same)
	}
	return &cdx.Evidence{Identity: &cdx.EvidenceIdentityChoice{Identities: &identities}, Occurrences: &occurrences}
}

func occurrence(path string, index int, layer ref.Digest) cdx.EvidenceOccurrence {
	return cdx.EvidenceOccurrence{Location: path, AdditionalContext: "layer " + strconv.Itoa(index) + " " + string(layer)}
}

// inBinaries are the extractors that read what a linker or compiler left in a
// program. All others read records.
var inBinaries = map[string]bool{
	"cargo-auditable": true, "dotnet-assembly": true, "elf-note": true, "ghc": true, "gobinary": true, "graalvm-sbom": true, "native": true, "words": true,
}

func technique(c *Component, method string) cdx.EvidenceIdentityTechnique {
	if c.Kind == Native || inBinaries[method] {
		return cdx.EvidenceIdentityTechniqueBinaryAnalysis
	}
	return cdx.EvidenceIdentityTechniqueManifestAnalysis
}

// licencesOf returns a component's licences: the one expression that the
// standard allows if there is one, or each by identifier or in the package's own
// words.
func licencesOf(c *Component) *cdx.Licenses {
	if len(c.Licences) == 0 {
		return nil
	}
	all := make(cdx.Licenses, len(c.Licences))
	for i, s := range c.Licences {
		expression, single, ok := licence(s)
		switch {
		case ok && single:
			all[i].License = &cdx.License{ID: expression}
		case ok && len(all) == 1:
			all[i].Expression = expression
		default:
			all[i].License = &cdx.License{Name: s}
		}
	}
	return &all
}

// hashesOf returns a digest as the standard writes hashes.
func hashesOf(d ref.Digest) *[]cdx.Hash {
	algorithm, value, _ := strings.Cut(string(d), ":")
	name, ok := map[string]cdx.HashAlgorithm{"sha256": cdx.HashAlgoSHA256, "sha512": cdx.HashAlgoSHA512}[algorithm]
	if !ok {
		return nil
	}
	return &[]cdx.Hash{{Algorithm: name, Value: value}}
}

// composition says whether everything was read. It claims nothing about
// software that leaves no record.
func (d document) composition() cdx.Composition {
	aggregate := cdx.CompositionAggregateUnknown
	if !d.Complete() {
		aggregate = cdx.CompositionAggregateIncomplete
	}
	return cdx.Composition{Aggregate: aggregate, Assemblies: &[]cdx.BOMReference{"image"}}
}

// properties makes a list from names and values in turn.
func properties(pairs ...string) *[]cdx.Property {
	out := make([]cdx.Property, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, cdx.Property{Name: pairs[i], Value: pairs[i+1]})
	}
	return &out
}
