package inventory

import (
	"iter"
	"strings"

	"plimsoll/internal/ref"
)

// Form is the form of a file that can run.
type Form string

// The forms. A script counts if it may be executed: it begins with "#!" and has
// an execute bit.
const (
	ELF    Form = "elf"
	PE     Form = "pe"
	MachO  Form = "macho"
	Wasm   Form = "wasm"
	Jar    Form = "jar"
	Script Form = "script"
)

// Sums are digests of one content, as lower-case hexadecimal digits.
type Sums struct {
	MD5    string `json:"md5,omitempty"`
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// matches compares the content with what a record says of it, "sha256:…". known
// is false if the record uses a digest that was not computed.
func (s *Sums) matches(sum string) (same, known bool) {
	algorithm, digits, _ := strings.Cut(sum, ":")
	have := map[string]string{"md5": s.MD5, "sha1": s.SHA1, "sha256": s.SHA256}[algorithm]
	return have == digits, have != ""
}

// Program is what the facts of a layer say of a file that can run.
type Program struct {
	Form Form  `json:"form"`
	Size int64 `json:"size"` // bytes
	// BuildID is the identity that the linker gave it (GNU build ID): the same for
	// every copy of one build, whatever it is called.
	BuildID string `json:"buildId,omitempty"`
	Sums
}

// Standing says how a file that can run is accounted for.
type Standing string

// The standings, the best first.
const (
	Packaged   Standing = "packaged"   // a package's record names it and its content
	Unchecked  Standing = "unchecked"  // a package's record names it and says nothing of its content
	Embedded   Standing = "embedded"   // an inventory in or beside it says what it is
	Recognised Standing = "recognised" // native code in it was recognised by its content
	Unknown    Standing = "unknown"    // nothing explains it
	Changed    Standing = "changed"    // a package's record names it with another content
	KnownBad   Standing = "known-bad"  // a list names its content as bad
)

// standings are all of them in order.
var standings = []Standing{Packaged, Unchecked, Embedded, Recognised, Unknown, Changed, KnownBad}

// Explained reports whether the standing is one that leaves no question.
func (s Standing) Explained() bool {
	switch s {
	case Packaged, Unchecked, Embedded, Recognised:
		return true
	case Unknown, Changed, KnownBad:
	}
	return false
}

// Executable is a file of the final image that can run.
type Executable struct {
	Layer    ref.Digest `json:"layer"`
	Index    int        `json:"index"`
	Path     string     `json:"path"`
	Standing Standing   `json:"standing"`
	Package  string     `json:"package,omitempty"` // package URL of the owner, of a changed one
	Reason   string     `json:"reason,omitempty"`  // what the list of bad files says of a known-bad one
	Program
}

// Tally is a number of files that can run, and their bytes.
type Tally struct {
	Standing Standing `json:"standing"`
	Files    int      `json:"files"`
	Bytes    int64    `json:"bytes"`
}

// Accounts say how the files that can run are accounted for.
type Accounts struct {
	Tallies []Tally `json:"tallies"` // of every standing, the best first
	Files   int     `json:"files"`
	Bytes   int64   `json:"bytes"`
	// Explained is the part of the files, in percent, that a package, an
	// inventory or their content explains; 100 if there are none.
	Explained float64 `json:"explained"`
	// Open are the files that are not explained, or known to be bad, by path.
	Open []Executable `json:"open"`
}

// Component returns the executable as a component, so that rules can speak of
// it: it has the kind of its standing, its path as the name, and the digest of
// its content as the version.
func (e *Executable) Component() Component {
	c := Component{
		Kind: Kind(string(e.Standing) + "-executable"), Type: Generic, Name: e.Path, Owner: e.Package,
		Evidence: []Evidence{{Layer: e.Layer, Index: e.Index, Path: e.Path, Method: "accounting", Confidence: 1}},
	}
	if e.SHA256 != "" {
		c.Version = "sha256:" + e.SHA256
	}
	return c
}

// The kinds of [Executable.Component].
const (
	UnknownExecutable  = Kind(string(Unknown) + "-executable")
	ChangedExecutable  = Kind(string(Changed) + "-executable")
	KnownBadExecutable = Kind(string(KnownBad) + "-executable")
)

// All yields the components, and as such the executables that are open and the
// secrets that may open something.
func (v *Inventory) All() iter.Seq[*Component] {
	return func(yield func(*Component) bool) {
		for i := range v.Components {
			if !yield(&v.Components[i]) {
				return
			}
		}
		for i := range v.Accounts.Open {
			c := v.Accounts.Open[i].Component()
			if !yield(&c) {
				return
			}
		}
		for i := range v.Secrets {
			if c := v.Secrets[i].Component(); !v.Secrets[i].Minor && !yield(&c) {
				return
			}
		}
	}
}
