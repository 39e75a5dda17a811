package sbom

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// cyclonedx reads a list of components, each of which may hold others
// (CycloneDX 1.6, "components").
func (d *document) cyclonedx(j metadata.JSON, depth int) error {
	if depth > maxNested {
		return fault.Errorf(fault.Invalid, "components in each other without end")
	}
	return j.Array(func(int) error {
		var s stated
		err := j.Object(func(key string) (err error) {
			switch key {
			case "type":
				s.what, err = j.Text()
			case "scope": // "excluded": needed to build or test, and not shipped
				s.scope, err = j.Text()
			case "name":
				s.name, err = j.Text()
			case "version":
				s.version, err = j.Text()
			case "purl":
				s.purl, err = j.Text()
			case "cpe":
				s.cpe, err = j.Text()
			case "evidence":
				err = s.evidence(j)
			case "properties":
				err = s.properties(j)
			case "components":
				err = d.cyclonedx(j, depth+1)
			default:
				err = j.Skip()
			}
			return err
		})
		if err != nil {
			return err
		}
		return d.add(&s)
	})
}

// evidence reads where the maker of the document found the component.
func (s *stated) evidence(j metadata.JSON) error {
	return j.Object(func(key string) error {
		if key != "occurrences" {
			return j.Skip()
		}
		return j.Array(func(int) error {
			location, err := j.TextOf("location")
			s.has(location)
			return err
		})
	})
}

// properties reads those in which Syft and Trivy say the same.
func (s *stated) properties(j metadata.JSON) error {
	return j.Array(func(int) error {
		var name, value string
		err := j.Object(func(key string) (err error) {
			switch key {
			case "name":
				name, err = j.Text()
			case "value":
				value, err = j.Text()
			default:
				err = j.Skip()
			}
			return err
		})
		if name == "aquasecurity:trivy:FilePath" || strings.HasPrefix(name, "syft:location:") && strings.HasSuffix(name, ":path") {
			s.has(value)
		}
		return err
	})
}

// has notes a path at which the component is said to be, which need not be one
// of a program.
func (s *stated) has(location string) {
	if p, ok := metadata.Inside(".", location); ok && len(s.files) < maxNested {
		s.files = append(s.files, inventory.Owned{Path: p})
	}
}

// xml reads CycloneDX as XML.
func (d *document) xml(f scan.File) error {
	if f.Size > maxDocument {
		return fault.Errorf(fault.Invalid, "larger than %d bytes", maxDocument)
	}
	in := xml.NewDecoder(io.LimitReader(f, maxDocument))
	in.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fault.Errorf(fault.Invalid, "the character set %.40q", charset)
	}
	var elements []string // open ones, the outermost first
	var open []stated     // components that are being read
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Errorf(fault.Invalid, "not valid XML: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if elements = append(elements, token.Name.Local); len(elements) > maxNested {
				return fault.Errorf(fault.Invalid, "elements in each other without end")
			}
			if token.Name.Local == "component" {
				open = append(open, stated{what: attribute(token, "type")})
			}
		case xml.CharData:
			if n := len(elements); n > 1 && len(open) > 0 && elements[n-2] == "component" {
				open[len(open)-1].text(elements[n-1], strings.TrimSpace(string(token)))
			}
		case xml.EndElement:
			elements = elements[:len(elements)-1]
			if token.Name.Local != "component" {
				continue
			}
			s := open[len(open)-1]
			open = open[:len(open)-1]
			if len(elements) > 0 && elements[len(elements)-1] != "components" {
				continue // what the document is about, or a tool that made it
			}
			if err := d.add(&s); err != nil {
				return err
			}
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (s *stated) text(element, text string) {
	switch element {
	case "scope":
		s.scope += text
	case "name":
		s.name += text
	case "version":
		s.version += text
	case "purl":
		s.purl += text
	case "cpe":
		s.cpe += text
	}
}
