package dotnet

import (
	"context"
	"encoding/xml"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Specs is a [scan.Extractor] of the packages that NuGet unpacked into its own
// folder, NAME/VERSION/NAME.nuspec (NuGet documentation, ".nuspec reference").
type Specs struct{}

// Locks is a [scan.Extractor] of packages.lock.json.
type Locks struct{}

var (
	_ scan.Extractor = Specs{}
	_ scan.Extractor = Locks{}
)

const maxSpec = 4 << 20 // bytes

// Name implements [scan.Extractor].
func (Specs) Name() string { return "nuspec" }

// Name implements [scan.Extractor].
func (Locks) Name() string { return "nuget-lock" }

// Version implements [scan.Extractor].
func (Specs) Version() int { return 1 }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Specs) Wants(e image.Entry, _ []byte) bool {
	name, ok := strings.CutSuffix(path.Base(e.Path), ".nuspec")
	return ok && strings.EqualFold(name, path.Base(path.Dir(path.Dir(e.Path))))
}

// Wants implements [scan.Extractor].
func (Locks) Wants(e image.Entry, _ []byte) bool {
	return path.Base(e.Path) == "packages.lock.json" && metadata.Project(e.Path)
}

// Extract implements [scan.Extractor].
func (Specs) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	text, err := metadata.All(f, maxSpec)
	if err != nil {
		return inventory.Found{}, err
	}
	var spec struct {
		XMLName  xml.Name `xml:"package"`
		Metadata struct {
			ID      string `xml:"id"`
			Version string `xml:"version"`
			Licence struct {
				Kind string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"license"`
		} `xml:"metadata"`
	}
	if err := xml.Unmarshal([]byte(text), &spec); err != nil {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "not a specification of a package: %w", err)
	}
	m := &spec.Metadata
	number, _, _ := strings.Cut(strings.TrimSpace(m.Version), "+") // NuGet leaves out what follows
	c := inventory.Component{Kind: inventory.Library, Type: inventory.NuGet, Name: strings.TrimSpace(m.ID), Version: number}
	if c.Name == "" {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "the specification names no package")
	}
	if m.Licence.Kind == "expression" {
		c.Licences = []string{strings.TrimSpace(m.Licence.Text)}
	}
	own := inventory.Owned{Path: path.Dir(f.Path) + "/", Package: c.Name, Type: inventory.NuGet}
	return inventory.Found{Components: []inventory.Component{c}, Owned: []inventory.Owned{own}}, nil
}

// Extract implements [scan.Extractor]: for each framework, the packages by name.
// What was built lies below the lock file's folder.
func (Locks) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var list metadata.List
	err := metadata.ReadJSON(f, maxDocument, func(d metadata.JSON, key string) error {
		if key != "dependencies" {
			return d.Skip()
		}
		return d.Object(func(string) error {
			return d.Object(func(name string) error {
				version, err := resolved(d)
				if err != nil || version == "" || name == "" {
					return err
				}
				return list.Add(inventory.Component{Kind: inventory.Library, Type: inventory.NuGet, Name: name, Version: version})
			})
		})
	})
	return list.Planned(path.Dir(f.Path)), err
}

// resolved returns the version of an entry, "" of a project.
func resolved(d metadata.JSON) (version string, err error) {
	kind := ""
	err = d.Object(func(key string) (err error) {
		switch key {
		case "resolved":
			version, err = d.Text()
		case "type":
			kind, err = d.Text()
		default:
			err = d.Skip()
		}
		return err
	})
	if kind == "Project" {
		version = ""
	}
	return version, err
}
