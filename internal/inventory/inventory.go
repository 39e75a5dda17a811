// Package inventory is what is in an image: components, each with the evidence
// for it, and the parts that could not be read.
//
// An inventory is made from the facts of single layers (package scan) by
// replaying the layers' paths over each other, so that a component is reported
// once, with the layer that brought it, and not at all if a later layer removed
// or replaced the file that it was recognised by.
package inventory

import (
	"time"

	"plimsoll/internal/ref"
)

// Type is a package URL type (purl-spec, PURL-TYPES): how a component is named
// and how its versions are ordered.
type Type string

// The types of component that this version recognises.
const (
	Deb      Type = "deb"
	Apk      Type = "apk"
	RPM      Type = "rpm"
	ALPM     Type = "alpm" // pacman
	Nix      Type = "nix"
	Brew     Type = "brew"
	Golang   Type = "golang"
	NPM      Type = "npm"
	PyPI     Type = "pypi"
	Conda    Type = "conda"
	Cargo    Type = "cargo"
	Maven    Type = "maven"
	NuGet    Type = "nuget"
	Composer Type = "composer"
	Gem      Type = "gem"
	Hex      Type = "hex"
	OTP      Type = "otp" // an application of Erlang's own distribution
	Pub      Type = "pub"
	Swift    Type = "swift"
	CRAN     Type = "cran"
	CPAN     Type = "cpan"
	LuaRocks Type = "luarocks"
	Hackage  Type = "hackage"
	Generic  Type = "generic" // recognised by content, from no ecosystem
)

// Kind says what a component is for.
type Kind string

// The kinds of component.
const (
	OS          Kind = "os"          // a package of the distribution
	Library     Kind = "library"     // a package of a language's ecosystem
	Application Kind = "application" // a main module or a program
	Native      Kind = "native"      // machine code that was recognised by its content
)

// Relation says how a file has native code that was recognised in it.
type Relation string

// The relations.
const (
	Contains Relation = "contains" // the code is in the file
	Links    Relation = "links"    // the file was built against it, and loads it from elsewhere
)

// Types and Kinds are all that there are.
var (
	Types = []Type{Deb, Apk, RPM, ALPM, Nix, Brew, Golang, NPM, PyPI, Conda, Cargo, Maven, NuGet, Composer, Gem, Hex, OTP, Pub, Swift, CRAN, CPAN, LuaRocks, Hackage, Generic}
	Kinds = []Kind{OS, Library, Application, Native, UnknownExecutable, ChangedExecutable, KnownBadExecutable, ShippedSecret}
)

// Component is one thing in an image.
type Component struct {
	Kind      Kind   `json:"kind"`
	Type      Type   `json:"type"`
	Namespace string `json:"namespace,omitempty"` // purl namespace: "debian", "@scope", "golang.org/x"
	Name      string `json:"name"`
	Version   string `json:"version"` // as the ecosystem writes it, epoch included; "" if unknown
	Arch      string `json:"arch,omitempty"`
	// SourceName and SourceVersion are those of the source package of a
	// distribution's package; advisories of distributions speak of sources.
	SourceName    string   `json:"sourceName,omitempty"`
	SourceVersion string   `json:"sourceVersion,omitempty"`
	Licences      []string `json:"licences,omitempty"` // SPDX identifiers or the package's own words
	// Owner is the package URL of the distribution's package that brought the
	// file, or "". Advisories of a language's ecosystem do not hold for an owned
	// component: distributions mend holes without changing the version.
	Owner    string     `json:"owner,omitempty"`
	Vendor   string     `json:"vendor,omitempty"`   // who made the package, in the database's words
	CPE      string     `json:"cpe,omitempty"`      // CPE 2.3 formatted string of the product and version, where one is known
	Relation Relation   `json:"relation,omitempty"` // of Native components
	Module   string     `json:"module,omitempty"`   // modularity label of an rpm, "name:stream:version:context:arch"
	Evidence []Evidence `json:"evidence"`           // at least one; the first is where it was introduced
}

// Evidence is where a component was seen and how it was recognised.
type Evidence struct {
	Layer  ref.Digest `json:"layer"`  // digest of the layer's blob
	Index  int        `json:"index"`  // position of the layer in the image, bottom = 0
	Path   string     `json:"path"`   // in the image, without a leading slash
	Method string     `json:"method"` // name of the extractor: "dpkg", "gobinary", …
	// Confidence says how sure it is that the component is there, over 0 and at
	// most 1: 1 where a record states it, less where it was concluded.
	Confidence float64 `json:"confidence"`
	// BuildID is the linker's identity of the file, of machine code that has one.
	BuildID string `json:"buildId,omitempty"`
	// End is set if a later layer took it away again.
	End *End `json:"end,omitempty"`
}

// Distro is the distribution that the image says it is (os-release(5)).
type Distro struct {
	ID        string `json:"id"`        // "debian", "alpine", "almalinux"
	VersionID string `json:"versionId"` // "12", "3.19.1"
	Codename  string `json:"codename,omitempty"`
	Name      string `json:"name,omitempty"` // PRETTY_NAME
}

// Unreadable is a part of the image that could not be looked at. An image with
// one is not fully scanned, and the gate denies it.
type Unreadable struct {
	Layer  ref.Digest `json:"layer"`
	Index  int        `json:"index"`
	Path   string     `json:"path,omitempty"` // "" for the layer as a whole
	Reason string     `json:"reason"`
	// Wrong says that the bytes are not those that the digest names (changed or
	// cut short), rather than in a form that could not be parsed.
	Wrong bool `json:"wrong,omitempty"`
}

// Layer is one layer of the image as it was read.
type Layer struct {
	Digest ref.Digest `json:"digest"`       // of the blob, compressed as it came
	DiffID ref.Digest `json:"diffId"`       // of the plain tar, computed by us
	Size   int64      `json:"size"`         // of the plain tar, bytes
	By     string     `json:"by,omitempty"` // the config's history line, the image's own claim
	// Base says that the layer seems to belong to the image that this one was
	// built from, going by the history, the image's own claim.
	Base bool `json:"base,omitempty"`
}

// Inventory is what was found in one platform's image.
type Inventory struct {
	Image      string      `json:"image"`            // as it was named
	Manifest   ref.Digest  `json:"manifest"`         // of the platform's image manifest
	Platform   string      `json:"platform"`         // "linux/amd64", "linux/arm64/v8"
	Created    time.Time   `json:"created,omitzero"` // the config's own claim
	Distro     Distro      `json:"distro"`
	Layers     []Layer     `json:"layers"`
	Components []Component `json:"components"` // sorted by type, name, version
	// Removed are the components that are in no file of the final image: a layer
	// removed or replaced them. Their bytes still ship.
	Removed    []Component   `json:"removed"`
	Stated     []Stated      `json:"stated,omitempty"` // what SBOMs in the image say, and whether it is true
	Accounts   Accounts      `json:"accounts"`         // of the files that can run
	Secrets    []FoundSecret `json:"secrets"`          // in any layer, by layer and path
	Unreadable []Unreadable  `json:"unreadable"`
}

// Complete reports whether everything in the image was read.
func (v *Inventory) Complete() bool { return len(v.Unreadable) == 0 }
