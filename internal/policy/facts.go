package policy

import (
	"time"

	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
	"plimsoll/internal/ref"
)

// Facts are what is known about an image, and why the rest is not known. An
// error stands for evidence that was looked for and not obtained; its kind
// decides the class of the denials that follow from it.
type Facts struct {
	Name      string     // as it was asked for
	Local     bool       // no registry named it
	GUN       ref.GUN    // after mirrors; "" if local
	Publisher string     // "" if nobody speaks for GUN
	Digest    ref.Digest // what the name resolved to
	Platform  string

	Roles     map[string]ref.Digest // role → digest that it names
	Signers   map[string][]string   // role → fingerprints of the keys that signed it
	RoleErrs  map[string]error      // role → why it is not known what it names
	Expires   time.Time             // of the soonest metadata behind Roles
	SignedErr error
	RootKeys  []RootKey
	// Foreign is set for a publisher who signs in other formats: one for each of
	// its entries. Those that were accepted also stand in Roles and Signers;
	// Expires is zero if none of them ends.
	Foreign []Foreign

	Inventory *inventory.Inventory
	ScanErr   error

	Findings []finding.Finding
	AsOf     time.Time // of the oldest advisories used
	MatchErr error
}

// RootKey is one key of the publisher's root, and what its token proves.
type RootKey struct {
	Fingerprint string
	Token       *Token // nil if nothing is proven
	Problem     error  // why what the root claims of it does not count
}

// Token is what the maker of a token vouches for about a key in it.
type Token struct {
	Maker    string // name of the roots that vouch
	Serial   string // "" if the token does not give it
	Firmware string // "5.7.1"
	Touch    string // never, always or cached
}

// Foreign is what was found for one entry of a publisher's Accept.
type Foreign struct {
	Role   string
	Format string // "cosign" or "notation"
	Signer string // a key's fingerprint, or a certificate's subject; "" if Err is set
	Key    string // fingerprint of the key that signed
	Err    error  // why there is no such signature
}

func (f *Facts) distro() inventory.Distro {
	if f.Inventory == nil {
		return inventory.Distro{}
	}
	return f.Inventory.Distro
}

// Needs are the kinds of evidence that an environment asks for.
type Needs struct {
	Signatures bool
	Scan       bool
	Advisories bool // implies Scan
}

// Needs returns what must be known before an image is judged for environment,
// and false if there is no such environment.
func (d *Document) Needs(environment string, local bool) (Needs, bool) {
	e := d.Environments[environment]
	if e == nil {
		return Needs{}, false
	}
	n := Needs{Signatures: e.Signed != nil && !local, Advisories: e.Scanned != nil, Scan: e.Scanned != nil}
	for _, r := range e.Rules {
		n.Scan = n.Scan || r.usesScan
	}
	return n, true
}
