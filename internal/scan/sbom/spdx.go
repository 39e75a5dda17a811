package sbom

import (
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// json reads a document of either standard: their fields have different names.
// A document that is neither states nothing.
func (d *document) json(f scan.File) error {
	s := spdxDocument{files: map[string]inventory.Owned{}, holds: map[string][]string{}}
	var is bool // one of them
	err := metadata.ReadJSON(f, maxDocument, func(j metadata.JSON, key string) error {
		switch key {
		case "bomFormat", "spdxVersion":
			is = true
		case "components":
			return d.cyclonedx(j, 0)
		case "packages":
			return j.Array(func(int) error { return s.readPackage(j) })
		case "files":
			return j.Array(func(int) error { return s.file(j) })
		case "relationships":
			return j.Array(func(int) error { return s.relationship(j) })
		case "@graph":
			is = true
			return j.Array(func(int) error { return d.element(j) })
		}
		return j.Skip()
	})
	if !is {
		*d = document{}
		return err
	}
	for i := range s.packages {
		p := &s.packages[i]
		for _, id := range append(p.has, s.holds[p.id]...) {
			if o, ok := s.files[id]; ok {
				p.files = append(p.files, o)
			}
		}
		if err := d.add(&p.stated); err != nil {
			return err
		}
	}
	return err
}

// spdxDocument is one that is being read: its parts name each other and may come
// in any order.
type spdxDocument struct {
	packages []spdxPackage
	files    map[string]inventory.Owned // by ID, those that may be run
	holds    map[string][]string        // IDs of packages → of what they contain
	held     int
}

type spdxPackage struct {
	stated
	id  string
	has []string // IDs of files
}

// readPackage reads one package (SPDX 2.3, clause 7).
func (s *spdxDocument) readPackage(j metadata.JSON) error {
	var p spdxPackage
	err := j.Object(func(key string) (err error) {
		switch key {
		case "SPDXID":
			p.id, err = j.Text()
		case "name":
			p.name, err = j.Text()
		case "versionInfo":
			p.version, err = j.Text()
		case "licenseDeclared":
			err = p.licence(j.Text())
		case "primaryPackagePurpose":
			p.what, err = j.Text()
			p.what = strings.ToLower(p.what)
		case "externalRefs":
			err = j.Array(func(int) error { return p.reference(j) })
		case "hasFiles":
			err = j.Array(func(int) error {
				id, err := j.Text()
				p.has = append(p.has, id)
				return err
			})
		default:
			err = j.Skip()
		}
		return err
	})
	if s.packages = append(s.packages, p); len(s.packages) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
	}
	return err
}

func (s *stated) licence(text string, err error) error {
	if text != "" && text != "NOASSERTION" && text != "NONE" {
		s.licences = []string{text}
	}
	return err
}

// reference reads an external reference (clause 7.21).
func (s *stated) reference(j metadata.JSON) error {
	var kind, locator string
	err := j.Object(func(key string) (err error) {
		switch key {
		case "referenceType":
			kind, err = j.Text()
		case "referenceLocator":
			locator, err = j.Text()
		default:
			err = j.Skip()
		}
		return err
	})
	s.refer(kind, locator)
	return err
}

func (s *stated) refer(kind, locator string) {
	switch {
	case kind == "purl" && s.purl == "":
		s.purl = locator
	case kind == "cpe23Type" && s.cpe == "":
		s.cpe = locator
	}
}

// file reads one file (clause 8).
func (s *spdxDocument) file(j metadata.JSON) error {
	var id, name, algorithm, sum string
	err := j.Object(func(key string) (err error) {
		switch key {
		case "SPDXID":
			id, err = j.Text()
		case "fileName":
			name, err = j.Text()
		case "checksums":
			err = j.Array(func(int) error {
				var a, v string
				err := j.Object(func(key string) (err error) {
					switch key {
					case "algorithm":
						a, err = j.Text()
					case "checksumValue":
						v, err = j.Text()
					default:
						err = j.Skip()
					}
					return err
				})
				if algorithm != "SHA256" {
					algorithm, sum = a, v
				}
				return err
			})
		default:
			err = j.Skip()
		}
		return err
	})
	if o, ok := file(name, algorithm, sum); ok {
		s.files[id] = o
	}
	return err
}

// relationship reads one (clause 11); that a package contains a file is all that
// is asked.
func (s *spdxDocument) relationship(j metadata.JSON) error {
	var from, kind, to string
	err := j.Object(func(key string) (err error) {
		switch key {
		case "spdxElementId":
			from, err = j.Text()
		case "relationshipType":
			kind, err = j.Text()
		case "relatedSpdxElement":
			to, err = j.Text()
		default:
			err = j.Skip()
		}
		return err
	})
	if kind == "CONTAINS" && s.held < 4*scan.MaxComponents {
		s.held++
		s.holds[from] = append(s.holds[from], to)
	}
	return err
}

// element reads one element of an SPDX 3 document.
func (d *document) element(j metadata.JSON) error {
	var s stated
	var kind string
	err := j.Object(func(key string) (err error) {
		switch key {
		case "type":
			kind, err = j.Text()
		case "name":
			s.name, err = j.Text()
		case "software_packageVersion":
			s.version, err = j.Text()
		case "software_packageUrl":
			s.purl, err = j.Text()
		case "software_primaryPurpose":
			s.what, err = j.Text()
			s.what = strings.ToLower(s.what)
		default:
			err = j.Skip()
		}
		return err
	})
	if err != nil || kind != "software_Package" {
		return err
	}
	return d.add(&s)
}

// tags reads SPDX 2 as tags and values, one a line. Files belong to the package
// before them. Text of several lines is skipped.
func (d *document) tags(f scan.File) error {
	var s stated
	inside, is := false, false
	err := metadata.Lines(f, maxDocument, func(line string) error {
		if inside {
			inside = !strings.Contains(line, "</text>")
			return nil
		}
		tag, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		inside = strings.HasPrefix(value, "<text>") && !strings.Contains(value, "</text>")
		switch tag {
		case "SPDXVersion":
			is = true
		case "PackageName":
			before := s
			s = stated{name: value}
			return d.add(&before)
		default:
			s.tag(tag, value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !is {
		return fault.Errorf(fault.Invalid, "no SPDX document: it has no tag SPDXVersion")
	}
	return d.add(&s)
}

func (s *stated) tag(tag, value string) {
	switch tag {
	case "PackageVersion":
		s.version = value
	case "PrimaryPackagePurpose":
		s.what = strings.ToLower(value)
	case "PackageLicenseDeclared":
		_ = s.licence(value, nil)
	case "ExternalRef":
		if f := strings.Fields(value); len(f) == 3 {
			s.refer(f[1], f[2])
		}
	case "FileName":
		if o, ok := file(value, "", ""); ok {
			s.files = append(s.files, o)
		}
	case "FileChecksum":
		algorithm, sum, _ := strings.Cut(value, ":")
		if n := len(s.files); n > 0 && s.files[n-1].Sum == "" {
			if o, ok := file(s.files[n-1].Path, algorithm, strings.TrimSpace(sum)); ok {
				s.files[n-1] = o
			}
		}
	}
}
