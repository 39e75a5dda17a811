package inventory

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The parts of an SPDX 2.3 document that are written (spdx-spec 2.3, clauses 6
// to 12).
type spdxDocument struct {
	SPDXVersion       string             `json:"spdxVersion"`
	DataLicense       string             `json:"dataLicense"`
	SPDXID            string             `json:"SPDXID"`
	Name              string             `json:"name"`
	DocumentNamespace string             `json:"documentNamespace"`
	CreationInfo      spdxCreation       `json:"creationInfo"`
	Comment           string             `json:"comment,omitempty"`
	Packages          []spdxPackage      `json:"packages"`
	Relationships     []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	SPDXID           string         `json:"SPDXID"`
	Name             string         `json:"name"`
	VersionInfo      string         `json:"versionInfo,omitempty"`
	Supplier         string         `json:"supplier,omitempty"`
	DownloadLocation string         `json:"downloadLocation"`
	FilesAnalyzed    bool           `json:"filesAnalyzed"`
	Checksums        []spdxChecksum `json:"checksums,omitempty"`
	SourceInfo       string         `json:"sourceInfo,omitempty"`
	LicenseConcluded string         `json:"licenseConcluded"`
	LicenseDeclared  string         `json:"licenseDeclared"`
	LicenseComments  string         `json:"licenseComments,omitempty"`
	CopyrightText    string         `json:"copyrightText"`
	ExternalRefs     []spdxExternal `json:"externalRefs,omitempty"`
	Purpose          string         `json:"primaryPackagePurpose"`
	Comment          string         `json:"comment,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxExternal struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
	Comment string `json:"comment,omitempty"`
}

const (
	noAssertion  = "NOASSERTION"
	spdxDoc      = "SPDXRef-DOCUMENT"
	spdxImage    = "SPDXRef-Image"
	spdxUnstated = "Not everything in the image could be read:"
)

// WriteSPDX writes the inventory as SPDX 2.3 JSON. The evidence of a package
// (method, layer, path, confidence) is in its sourceInfo, and what could not be
// read in the document's comment. The image CONTAINS its packages; with native
// code that a file in it only loads from elsewhere it has a DYNAMIC_LINK. Files
// that can run and that nothing explains are packages with the purpose FILE.
func (v *Inventory) WriteSPDX(w io.Writer) error {
	doc := v.document().spdx()
	return write(w, "SPDX", func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(doc)
	})
}

func (d document) spdx() *spdxDocument {
	doc := &spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: spdxDoc, Name: d.Image,
		DocumentNamespace: "urn:uuid:" + d.serial("spdx"),
		CreationInfo:      spdxCreation{Created: d.timestamp(), Creators: []string{"Tool: plimsoll"}},
		Packages:          make([]spdxPackage, 0, len(d.Components)+1),
		Relationships:     []spdxRelationship{{spdxDoc, "DESCRIBES", spdxImage, ""}},
	}
	if !d.Complete() {
		lines := []string{spdxUnstated}
		for i := range d.Unreadable {
			lines = append(lines, d.Unreadable[i].says())
		}
		doc.Comment = strings.Join(lines, "\n")
	}
	doc.Packages = append(doc.Packages, d.spdxImage())
	for i := range d.Components {
		p := d.spdxPackage(i)
		doc.Packages = append(doc.Packages, p)
		relation := spdxRelationship{spdxImage, "CONTAINS", p.SPDXID, ""}
		if d.Components[i].Relation == Links {
			relation.Type, relation.Comment = "DYNAMIC_LINK", "files of the image were built against it and load it from elsewhere"
		}
		doc.Relationships = append(doc.Relationships, relation)
	}
	for i := range d.Accounts.Open {
		p := d.spdxOpenFile(i)
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships, spdxRelationship{spdxImage, "CONTAINS", p.SPDXID, ""})
	}
	return doc
}

func (d document) spdxImage() spdxPackage {
	p := spdxPackage{
		SPDXID: spdxImage, Name: d.Image, VersionInfo: string(d.Manifest), Purpose: "CONTAINER", DownloadLocation: noAssertion,
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, CopyrightText: noAssertion,
	}
	if algorithm, value, ok := strings.Cut(string(d.Manifest), ":"); ok {
		p.Checksums = []spdxChecksum{{strings.ToUpper(algorithm), value}}
	}
	return p
}

func (d document) spdxPackage(i int) spdxPackage {
	c := &d.Components[i]
	p := spdxPackage{
		SPDXID: fmt.Sprintf("SPDXRef-Package-%d", i), Name: c.Name, VersionInfo: c.Version, DownloadLocation: noAssertion,
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, CopyrightText: noAssertion, Purpose: "LIBRARY",
		ExternalRefs: []spdxExternal{{"PACKAGE-MANAGER", "purl", d.PURL(c)}},
	}
	if c.Namespace != "" && c.Kind != OS {
		p.Name = c.Namespace + "/" + c.Name
	}
	if c.Kind == Application {
		p.Purpose = "APPLICATION"
	}
	if cpe := validCPE(c.CPE); cpe != "" {
		p.ExternalRefs = append(p.ExternalRefs, spdxExternal{"SECURITY", "cpe23Type", cpe})
	}
	if c.Vendor != "" {
		p.Supplier = "Organization: " + c.Vendor
	}
	if len(c.Licences) > 0 {
		p.LicenseComments = "as the package says: " + strings.Join(c.Licences, ", ")
	}
	if len(c.Licences) == 1 { // of several nobody says whether one may choose
		if expression, _, ok := licence(c.Licences[0]); ok {
			p.LicenseDeclared = expression
		}
	}
	if c.Owner != "" {
		p.Comment = "brought by " + c.Owner
	}
	var seen []string
	for _, e := range c.present() {
		seen = append(seen, fmt.Sprintf("%s in layer %d %s: %s (confidence %s)", e.Method, e.Index, e.Layer, e.Path, decimal(e.sure())))
	}
	p.SourceInfo = strings.Join(seen, "; ")
	return p
}
