// Package gate answers one question: may this digest run here, for this team?
//
// It gathers the evidence that the policy needs (who signed, what is inside,
// what is wrong with it), asks the policy, has the answer recorded, and only
// then gives it. Every door asks this gate; what cannot be looked at or cannot
// be recorded is denied.
package gate

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/key"
	"plimsoll/internal/policy"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// Request is what a door asks.
type Request struct {
	Image       string // as named: "registry/repo:tag", "oci:DIR", …
	Platform    string // "linux/amd64", "" for this machine's
	Environment string
	Team        string // "" if only the image is asked about
	Door        string
	Caller      string
	// Action is what the policy must let the team do; "" for what the door does.
	Action string
	// Member is the caller by what the policy knows its members by. If it is zero
	// Caller is a login name.
	Member policy.Caller
	// Again says that what is asked about is the team's since it was first
	// allowed, and nobody asks now: a container that starts again.
	Again bool
	// Unattributed says that nobody with a team asks: Team is empty and the
	// policy's rule for that decides.
	Unattributed bool
	// Container is the ID of what is to be started, for the record.
	Container string
	// Held is the image, if it is known already: Image is then not opened.
	Held *image.Image
	// Holds is the digest of the image's config, manifest or index, by which an
	// engine knows what it would run. Another image than that is denied.
	Holds ref.Digest
}

// Images opens images by name.
type Images interface {
	Open(ctx context.Context, name, platform string) (*image.Image, error)
}

// Scanner makes inventories. An image with unreadable parts gives an inventory
// that says so and no error.
type Scanner interface {
	Scan(ctx context.Context, m *image.Image) (*inventory.Inventory, error)
}

// Matcher says what is wrong with the components of an inventory, and how old
// its oldest knowledge that it used is.
type Matcher interface {
	Match(ctx context.Context, inv *inventory.Inventory) (findings []finding.Finding, asOf time.Time, err error)
}

// Recorder writes a decision where nobody can change it unseen. The decision is
// durable when it returns.
type Recorder interface {
	Record(ctx context.Context, d *verdict.Decision) (verdict.Receipt, error)
}

// Pins are the root keys that a publisher is known by: fingerprints
// (SHA-256 of the DER SubjectPublicKeyInfo, "sha256:<hex>") of which Threshold
// must have signed the root that trust starts from.
type Pins struct {
	Threshold int
	Keys      []string
}

// Statement is what a trust collection says about one image, verified: each
// role that names it, looked up in its own metadata (TAP 3).
type Statement struct {
	GUN         ref.GUN
	Roles       map[string]ref.Digest // role → digest that it names
	Signers     map[string][]string   // role → fingerprints of the keys that signed it
	Errors      map[string]error      // role → why it is not known what it says
	Expires     time.Time             // the soonest expiry of the metadata used
	RootKeys    []string              // fingerprints of the root's keys
	RootVersion int64

	// What the root claims of its keys, by fingerprint, not yet verified:
	// certificates for [key.VerifyAttestationOf].
	Attestations map[string][][]byte
}

// Truster verifies what was signed.
type Truster interface {
	// Statement returns what the collection of gun says, asked by r's tag or,
	// if r has a digest, by digest (DESIGN.md decision 1). NotFound if there is
	// no trust data or no role names the image; Untrusted if it is expired,
	// rolled back or wrongly signed. What is wrong with one role only stands in
	// Errors.
	Statement(ctx context.Context, gun ref.GUN, pins Pins, r ref.Reference) (*Statement, error)
}

// Accepter verifies what publishers signed in other formats.
type Accepter interface {
	// Accepted looks for a signature of the image in gun for each of the
	// entries, and returns what it found for each, and when the first of the good
	// ones ends (zero if none does).
	Accepted(ctx context.Context, gun ref.GUN, image v1.Descriptor, accept []policy.Accept) ([]policy.Foreign, time.Time)
}

// Config is what a gate needs. All but Enforceable, Accepter, Now and Rand must
// be set, and one of Policy and PolicyErr.
type Config struct {
	Policy *policy.Document
	// PolicyErr says why there is no Policy. Whoever asks is denied, and that is
	// recorded like every other answer.
	PolicyErr error
	Images    Images
	Truster   Truster
	// Accepter is for publishers without a root; without it they are denied.
	Accepter Accepter
	Scanner  Scanner
	Matcher  Matcher
	Recorder Recorder
	// Enforceable says why a profile cannot be enforced by what would run the
	// container, nil if it can. nil: whatever the policy grants can be.
	Enforceable func(profile.Profile) error
	Attestation key.AttestationRoots // whose word counts about keys in tokens
	Now         func() time.Time     // the clock; nil: the machine's
	Rand        io.Reader            // for decisions' IDs; nil: crypto/rand
}

// Gate decides. It may be used concurrently.
type Gate struct{ config Config }

// New returns a gate.
func New(c Config) *Gate {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Enforceable == nil {
		c.Enforceable = func(profile.Profile) error { return nil }
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return &Gate{c}
}

// Answer is a decision, and the image that it is about.
type Answer struct {
	Decision verdict.Decision
	// Image is what was judged: whoever runs it takes this one, not the name
	// again. It is nil if the image could not be opened.
	Image *image.Image
	// Until is when the answer ends to hold by itself, if it allows: the evidence
	// that it rests on expires. It is zero if that never does.
	Until time.Time
}

// Decide answers q. Everything that speaks against the image, and everything
// that could not be found out, is a denial with its reason; the error is only
// for our own mistakes and for a context that ended. The decision was recorded
// when it is returned, or it is a denial that says why it could not be.
func (g *Gate) Decide(ctx context.Context, q Request) (Answer, error) {
	var a Answer
	a.Decision = verdict.Decision{
		Door: q.Door, Image: q.Image, Team: q.Team, Caller: q.Caller,
		Environment: q.Environment, Outcome: verdict.Denied, Container: q.Container,
	}
	var err error
	if a.Decision.ID, err = newID(g.config.Rand); err != nil {
		return Answer{}, err
	}
	if g.config.Policy == nil {
		g.lawless(&a.Decision)
	} else {
		g.judge(ctx, q, &a)
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, fault.Errorf(fault.Unavailable, "decide on %q: %w", q.Image, err)
	}
	conclude(&a.Decision)
	g.record(ctx, &a.Decision)
	return a, nil
}
