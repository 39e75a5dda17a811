package inventory

import (
	"io"
	"strconv"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// WriteCycloneDX writes the inventory as CycloneDX 1.6 JSON. What the standard
// has no field for are properties: plimsoll:layer, plimsoll:path and
// plimsoll:method for each piece of evidence, in this order and the introducing
// one first, plimsoll:owner, plimsoll:source, and plimsoll:unreadable. With
// unreadable parts the composition is declared incomplete.
func (v *Inventory) WriteCycloneDX(w io.Writer) error {
	bom := v.document().cyclonedx()
	return write(w, "CycloneDX", func(w io.Writer) error {
		return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	})
}

func (d document) cyclonedx() *cdx.BOM {
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + d.uuid("cyclonedx")
	image := cdx.Component{
		BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: d.Image, Version: string(d.Manifest),
		Properties: properties("plimsoll:platform", d.Platform),
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
	pairs := make([]string, 0, 8+8*len(c.Evidence))
	for _, e := range c.Evidence {
		pairs = append(pairs, "plimsoll:layer", string(e.Layer), "plimsoll:layerIndex", strconv.Itoa(e.Index), "plimsoll:path", e.Path, "plimsoll:method", e.Method)
	}
	if c.SourceName != "" {
		pairs = append(pairs, "plimsoll:source", c.SourceName+"@"+c.SourceVersion)
	}
	if c.Owner != "" {
		pairs = append(pairs, "plimsoll:owner", c.Owner)
	}
	out := cdx.Component{
		BOMRef: d.refs[i], Type: cdx.ComponentTypeLibrary, Group: c.Namespace, Name: c.Name, Version: c.Version,
		PackageURL: d.PURL(c), Properties: properties(pairs...),
	}
	if c.Kind == Application {
		out.Type = cdx.ComponentTypeApplication
	}
	if len(c.Licences) > 0 {
		licences := make(cdx.Licenses, len(c.Licences))
		for k, name := range c.Licences {
			licences[k].License = &cdx.License{Name: name}
		}
		out.Licenses = &licences
	}
	return out
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
