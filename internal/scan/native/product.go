package native

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
)

// Product is an entry of a file of products: how a product's code is recognised.
type Product struct {
	Product string `yaml:"product" json:"product,omitempty"` // lower case
	Vendor  string `yaml:"vendor" json:"vendor,omitempty"`   // who makes it, as CPE names them
	CPE     list   `yaml:"cpe" json:"cpe,omitempty"`         // "vendor:product" of NVD, the usual one first
	PURL    string `yaml:"purl" json:"purl,omitempty"`       // package URL of type generic, without version
	Fact    string `yaml:"fact" json:"-"`                    // where what the patterns say comes from
	Kind    string `yaml:"kind" json:"kind,omitempty"`       // "library" or "application"
	Debian  string `yaml:"debian" json:"debian,omitempty"`   // name of Debian's source package
	Epoch   string `yaml:"epoch" json:"epoch,omitempty"`     // epoch of Debian's versions, which the bytes leave out
	// Links are the beginnings of sonames. A file that needs one of them has what
	// it was built against in its texts, and the code elsewhere.
	Links    list `yaml:"links" json:"links,omitempty"`
	Provides list `yaml:"provides" json:"provides,omitempty"` // beginnings of sonames that the product's own libraries have
	// Defines are dynamic symbols of the product. A file that exports one contains it,
	// whatever it needs; one that imports one has the code elsewhere.
	Defines  list      `yaml:"defines" json:"defines,omitempty"`
	Patterns []Pattern `yaml:"patterns" json:"patterns,omitempty"`
	Not      literals  `yaml:"not" json:"not,omitempty"`       // literals that no file with the product holds: those of its forks
	Prefer   string    `yaml:"prefer" json:"prefer,omitempty"` // which version counts of several: see [Product.choose]
	Multiple bool      `yaml:"multiple" json:"multiple,omitempty"`
	// Table holds the versions of what a pattern's group "version" captures, where
	// that is no version but identifies one. What is not in it is not reported.
	Table   map[string]string `yaml:"table" json:"table,omitempty"`
	Samples []Sample          `yaml:"samples" json:"-"`
}

// Pattern is one form in which a product's version stands in a file.
type Pattern struct {
	Anchor literal `yaml:"anchor" json:"anchor,omitempty"` // bytes that are looked for in the whole file
	// Regexp is matched (RE2 syntax) with the window from Before bytes before the
	// anchor to After bytes after it; the match overlaps the anchor. Its group "version" is
	// the version, its group "distro" a distribution's full version, and its group
	// "revision" what a distribution adds to the version, without the hyphen.
	Regexp string `yaml:"regexp" json:"regexp,omitempty"`
	// Bare is matched instead with the whole of the zero-terminated strings at most
	// Reach bytes from the anchor, of a long one with its end; the nearest counts.
	Bare  string `yaml:"bare" json:"bare,omitempty"`
	Plain bool   `yaml:"plain" json:"plain,omitempty"` // its version is one, and not looked up in the product's table
	Own   bool   `yaml:"own" json:"own,omitempty"`     // only the product itself has such a text
	// Built says that the text tells what a file was built against: it counts only in
	// one that needs one of the product's Links.
	Built  bool     `yaml:"built" json:"built,omitempty"`
	Also   literals `yaml:"also" json:"also,omitempty"` // literals that the file holds, too
	Before int      `yaml:"before" json:"before,omitempty"`
	After  int      `yaml:"after" json:"after,omitempty"`
	Reach  int64    `yaml:"reach" json:"reach,omitempty"`
	// Confidence is how sure a match is, over 0 and at most 1.
	Confidence float64 `yaml:"confidence" json:"confidence,omitempty"`
}

// Sample is an excerpt of a real file in which the product is recognised.
type Sample struct {
	File     string `yaml:"file"`    // name in the samples' folder
	Snippet  string `yaml:"snippet"` // or path in the public set of snippets
	Version  string `yaml:"version"`
	Package  string `yaml:"package"` // what held the file, and its version
	Path     string `yaml:"path"`    // in the package
	SHA256   string `yaml:"sha256"`  // of the whole file
	Licence  string `yaml:"licence"`
	Needs    list   `yaml:"needs"`    // sonames that the whole file needs
	Soname   string `yaml:"soname"`   // of the whole file
	Relation string `yaml:"relation"` // "contains", which is the default, or "links"
	Distro   string `yaml:"distro"`   // the distribution's full version, if the excerpt shows it
}

// list is a list of texts; one may be written without a list.
type list []string

// UnmarshalYAML implements the decoder's interface.
func (l *list) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if err := unmarshal(&one); err == nil {
		*l = list{one}
		return nil
	}
	return unmarshal((*[]string)(l))
}

// literal is a text that is looked for, byte by byte: in a file of products each
// of its characters stands for one byte, so that "\xfd" is the byte 253.
type literal string

// UnmarshalYAML implements the decoder's interface.
func (l *literal) UnmarshalYAML(unmarshal func(any) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return fault.Errorf(fault.Invalid, "%q: %q is more than one byte: write its bytes", text, r)
		}
		b = append(b, byte(r)) //nolint:gosec // at most 0xff
	}
	*l = literal(b)
	return nil
}

// MarshalJSON writes the literal as a file of products does.
func (l literal) MarshalJSON() ([]byte, error) {
	runes := make([]rune, len(l))
	for i := range len(l) {
		runes[i] = rune(l[i])
	}
	return json.Marshal(string(runes))
}

// UnmarshalJSON is the reverse of [literal.MarshalJSON].
func (l *literal) UnmarshalJSON(b []byte) error {
	return l.UnmarshalYAML(func(v any) error { return json.Unmarshal(b, v) })
}

// literals is a list of literals; one may be written without a list.
type literals []literal

// UnmarshalYAML implements the decoder's interface.
func (l *literals) UnmarshalYAML(unmarshal func(any) error) error {
	var one literal
	if err := unmarshal(&one); err == nil {
		*l = literals{one}
		return nil
	}
	return unmarshal((*[]literal)(l))
}

// What a pattern looks at unless it says otherwise, and at most, in bytes.
const (
	defaultBefore = 100
	defaultAfter  = 200
	maxAround     = 4096
	defaultReach  = 16 << 20
)

// Confidence of what a pattern does not state.
const (
	sureTable  = 1
	sureRegexp = 0.95
	sureBare   = 0.8
)

// fill sets what p leaves to its defaults.
func (p *Pattern) fill(table bool) {
	if p.Before == 0 {
		p.Before = defaultBefore
	}
	if p.After == 0 {
		p.After = defaultAfter
	}
	if p.Reach == 0 {
		p.Reach = defaultReach
	}
	switch {
	case p.Confidence != 0:
	case table && !p.Plain:
		p.Confidence = sureTable
	case p.Bare != "":
		p.Confidence = sureBare
	default:
		p.Confidence = sureRegexp
	}
}

var (
	productName = regexp.MustCompile(`^[a-z0-9][a-z0-9._+-]*$`)
	cpeName     = regexp.MustCompile(`^[a-z0-9._+~!\\/-]+:[a-z0-9._+~!\\/-]+$`)
	epochNumber = regexp.MustCompile(`^[1-9][0-9]*$`)
)

// check returns an Invalid error that names what is wrong with the entry.
func (p *Product) check() error {
	switch {
	case !productName.MatchString(p.Product):
		return fault.Errorf(fault.Invalid, "product %q: a name is lower-case letters, digits and .+_-", p.Product)
	case p.Kind != "library" && p.Kind != "application":
		return fault.Errorf(fault.Invalid, "product %q: kind %q is neither library nor application", p.Product, p.Kind)
	case p.Fact == "":
		return fault.Errorf(fault.Invalid, "product %q: fact says where the patterns come from, and is empty", p.Product)
	case !slices.Contains([]string{"", preferFirst, preferLast, preferLongest, preferHighest}, p.Prefer):
		return fault.Errorf(fault.Invalid, "product %q: prefer %q is none of first, last, longest and highest", p.Product, p.Prefer)
	case p.Epoch != "" && (p.Debian == "" || !epochNumber.MatchString(p.Epoch)):
		return fault.Errorf(fault.Invalid, "product %q: epoch %q is a number over 0 and needs debian", p.Product, p.Epoch)
	case len(p.Patterns) == 0:
		return fault.Errorf(fault.Invalid, "product %q has no patterns", p.Product)
	case len(p.Samples) == 0:
		return fault.Errorf(fault.Invalid, "product %q has no samples", p.Product)
	}
	for _, c := range p.CPE {
		if !cpeName.MatchString(c) {
			return fault.Errorf(fault.Invalid, "product %q: cpe %q is not vendor:product", p.Product, c)
		}
	}
	for _, s := range p.Samples {
		if (s.File == "") == (s.Snippet == "") || s.Version == "" {
			return fault.Errorf(fault.Invalid, "product %q: a sample has a file or a snippet, and a version", p.Product)
		}
	}
	return p.checkPatterns()
}

// checkPatterns checks what is needed to recognise the product.
func (p *Product) checkPatterns() error {
	if _, err := p.purl(); err != nil {
		return err
	}
	for _, l := range p.Not {
		if err := checkLiteral(l); err != nil {
			return fmt.Errorf("product %q: not: %w", p.Product, err)
		}
	}
	for i := range p.Patterns {
		if err := p.Patterns[i].check(); err != nil {
			return fmt.Errorf("product %q: pattern %d: %w", p.Product, i+1, err)
		}
	}
	return nil
}

func (p *Product) purl() (packageurl.PackageURL, error) {
	u, err := packageurl.FromString(p.PURL)
	if err != nil {
		return u, fault.Errorf(fault.Invalid, "product %q: purl %q: %w", p.Product, p.PURL, err)
	}
	if u.Type != string(inventory.Generic) || u.Version != "" || u.Qualifiers.String() != "" || u.Subpath != "" {
		return u, fault.Errorf(fault.Invalid, "product %q: purl %q is not of the form pkg:generic/NAME", p.Product, p.PURL)
	}
	return u, nil
}

func (p *Pattern) check() error {
	if err := checkLiteral(p.Anchor); err != nil {
		return fmt.Errorf("anchor: %w", err)
	}
	for _, l := range p.Also {
		if err := checkLiteral(l); err != nil {
			return fmt.Errorf("also: %w", err)
		}
	}
	if (p.Regexp == "") == (p.Bare == "") {
		return fault.Errorf(fault.Invalid, "it needs a regexp or a bare, and not both")
	}
	re, err := regexp.Compile(p.expression())
	if err != nil {
		return fault.Errorf(fault.Invalid, "%w", err)
	}
	if re.SubexpIndex("version") < 0 {
		return fault.Errorf(fault.Invalid, "%q has no group named version", re)
	}
	if min(p.Before, p.After) < 0 || max(p.Before, p.After) > maxAround {
		return fault.Errorf(fault.Invalid, "before and after are 0 to %d bytes", maxAround)
	}
	if p.Reach < 0 || p.Reach > defaultReach {
		return fault.Errorf(fault.Invalid, "reach is 0 to %d bytes", int64(defaultReach))
	}
	if p.Confidence < 0 || p.Confidence > 1 {
		return fault.Errorf(fault.Invalid, "confidence is over 0 and at most 1")
	}
	return nil
}

// expression returns the pattern's expression; a bare one matches whole strings.
func (p *Pattern) expression() string {
	if p.Bare != "" {
		return `\A(?:` + p.Bare + `)\z`
	}
	return p.Regexp
}

func checkLiteral(l literal) error {
	if len(l) < minLiteral || len(l) > maxLiteral {
		return fault.Errorf(fault.Invalid, "%q has not %d to %d bytes", string(l), minLiteral, maxLiteral)
	}
	if strings.Count(string(l), string(l[:1])) == len(l) {
		return fault.Errorf(fault.Invalid, "%q is one byte over and over", string(l))
	}
	return nil
}
