package inventory

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
)

// serial returns the UUID of a document: of the image's manifest or, where there
// is none (a folder, a file), of all that was found in it.
func (d document) serial(standard string) string {
	if d.Manifest != "" {
		return d.uuid(standard)
	}
	all, err := json.Marshal(d.Inventory)
	if err != nil {
		all = []byte(err.Error()) // a date that JSON cannot carry: the documents leave it out, too
	}
	sum := sha256.Sum256(all)
	return d.uuid(standard + "\x00" + hex.EncodeToString(sum[:]))
}

// sure returns the confidence of the evidence; where none is stated it is 1.
func (e *Evidence) sure() float64 { return cmp.Or(e.Confidence, 1) }

// present returns the evidence that is still in the image: the standards have no
// word for a file that a later layer took away from below a component.
func (c *Component) present() []Evidence {
	return slices.DeleteFunc(slices.Clone(c.Evidence), func(e Evidence) bool { return e.End != nil })
}

// decimal writes a confidence as short as it can be read back.
func decimal(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func float(f float64) *float32 {
	short := float32(f)
	return &short
}

// cpe23 is a formatted string of CPE 2.3 (NISTIR 7695, section 6.2), as far as
// both standards take it.
var cpe23 = regexp.MustCompile(`^cpe:2\.3:[aho](:(\*|-|([a-zA-Z0-9._-]|\\[!-,/:-@[-^` + "`" + `{-~])+)){5}:[*-](:(\*|-|([a-zA-Z0-9._-]|\\[!-,/:-@[-^` + "`" + `{-~])+)){4}$`)

// validCPE returns s if it is a CPE 2.3 formatted string, else "".
func validCPE(s string) string {
	if len(s) > maxLicence || !cpe23.MatchString(s) {
		return ""
	}
	return s
}
