package inventory

import (
	"fmt"
	"strconv"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// A file that can run and that nothing explains has no package URL, but it is in
// the image: in documents it is a file with the digest of its content.

// openFile returns an executable that is not accounted for as a component.
func (d document) openFile(i int) cdx.Component {
	e := &d.Accounts.Open[i]
	pairs := []string{
		"plimsoll:layer", string(e.Layer), "plimsoll:layerIndex", strconv.Itoa(e.Index), "plimsoll:path", e.Path,
		"plimsoll:standing", string(e.Standing), "plimsoll:form", string(e.Form),
	}
	if e.Package != "" {
		pairs = append(pairs, "plimsoll:owner", e.Package)
	}
	c := cdx.Component{
		BOMRef: "file-" + strconv.Itoa(i), Type: cdx.ComponentTypeFile, Name: e.Path, Description: e.says(), Properties: properties(pairs...),
		Evidence: &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{occurrence(e.Path, e.Index, e.Layer)}},
	}
	hashes := []cdx.Hash{}
	for _, h := range e.digests() {
		hashes = append(hashes, cdx.Hash{Algorithm: h.cyclonedx, Value: h.value})
	}
	if len(hashes) > 0 {
		c.Hashes = &hashes
	}
	return c
}

// spdxOpenFile returns an executable that is not accounted for as a package: a
// file of SPDX must have a SHA-1, which nobody has computed of all of them.
func (d document) spdxOpenFile(i int) spdxPackage {
	e := &d.Accounts.Open[i]
	p := spdxPackage{
		SPDXID: fmt.Sprintf("SPDXRef-File-%d", i), Name: e.Path, DownloadLocation: noAssertion, LicenseConcluded: noAssertion,
		LicenseDeclared: noAssertion, CopyrightText: noAssertion, Purpose: "FILE", Comment: e.says(),
		SourceInfo: fmt.Sprintf("accounting in layer %d %s: %s (confidence 1)", e.Index, e.Layer, e.Path),
	}
	for _, h := range e.digests() {
		p.Checksums = append(p.Checksums, spdxChecksum{h.spdx, h.value})
	}
	return p
}

// says returns one line about why the executable is open.
func (e *Executable) says() string {
	switch {
	case e.Standing == Changed:
		return "changed: it is not what " + e.Package + " brought"
	case e.Reason != "":
		return string(e.Standing) + ": " + e.Reason
	}
	return string(e.Standing) + ": no package, inventory or known content explains this file that can run"
}

type namedDigest struct {
	cyclonedx cdx.HashAlgorithm
	spdx      string
	value     string
}

// digests returns those that were computed, by the names that standards give them.
func (s *Sums) digests() []namedDigest {
	var all []namedDigest
	for _, h := range []namedDigest{{cdx.HashAlgoMD5, "MD5", s.MD5}, {cdx.HashAlgoSHA1, "SHA1", s.SHA1}, {cdx.HashAlgoSHA256, "SHA256", s.SHA256}} {
		if h.value != "" {
			all = append(all, h)
		}
	}
	return all
}
