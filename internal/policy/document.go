package policy

import (
	"time"

	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
)

// maxDocument bounds a document, in bytes.
const maxDocument = 1 << 20

// Version is the apiVersion of the documents that this package reads.
const Version = "plimsoll/v1"

// Document is a policy that was read and checked by [Parse]. It does not change
// and may be used concurrently.
type Document struct {
	APIVersion   string                  `yaml:"apiVersion"` // [Version]
	Kind         string                  `yaml:"kind"`       // "Policy"
	Publishers   map[string]*Publisher   `yaml:"publishers"`
	Environments map[string]*Environment `yaml:"environments"`
	Host         *Host                   `yaml:"host"`
	Teams        map[string]*Team        `yaml:"teams"`

	hash ref.Digest
}

// Hash returns the SHA-256 of the bytes that the document was read from.
func (d *Document) Hash() ref.Digest { return d.hash }

// Publisher is whoever holds a root's keys, and what they speak for.
type Publisher struct {
	Repositories []ref.Pattern `yaml:"repositories"`
	// Mirrors are pull name → GUN; the GUN must be covered by Repositories.
	Mirrors  ref.Mirrors `yaml:"mirrors"`
	RootKeys RootKeys    `yaml:"rootKeys"`
	// Accept is for publishers who sign with other programs, and have no root.
	// A publisher has either RootKeys or Accept.
	Accept []Accept `yaml:"accept"`
	// Hardware is what every key of the root must prove about where it lives.
	Hardware *Hardware `yaml:"hardware"`
}

// RootKeys are the pins by which a publisher's root is known.
type RootKeys struct {
	Threshold int      `yaml:"threshold"`
	Keys      []string `yaml:"keys"` // "sha256:" and the hex SHA-256 of the DER SubjectPublicKeyInfo
}

// Hardware is written in full or as the one word "required".
type Hardware struct {
	Attestation string   `yaml:"attestation"` // "required"
	Touch       string   `yaml:"touch"`       // "always"
	Firmware    string   `yaml:"firmware"`    // ">=5.7"
	Roots       []string `yaml:"roots"`       // makers whose attestation is believed
}

// Environment is a place where images run, and what it demands of them.
type Environment struct {
	Signed     *Signed     `yaml:"signed"`
	Scanned    *Scanned    `yaml:"scanned"`
	Local      string      `yaml:"local"` // images that no registry named: "deny" (default) or "allow", which also waives Signed for them
	Builds     *Builds     `yaml:"builds"`
	Rules      []*Rule     `yaml:"rules"`
	Exceptions []Exception `yaml:"exceptions"`
}

// Signed demands that Threshold of Roles, each looked up in its own metadata,
// name the digest that is to run (TAP 3).
type Signed struct {
	Roles     []string `yaml:"roles"`
	Threshold int      `yaml:"threshold"` // all of Roles if it is left out
}

// Scanned demands that every byte was looked at, and that the advisories it was
// compared with are no older than this.
type Scanned struct {
	AdvisoriesWithin Duration `yaml:"advisoriesWithin"`
}

// Builds is what the steps of a build may run on. Without it no step runs.
type Builds struct {
	// From can only be "allowed": a step may run on what was built here so far,
	// if the layers at the bottom of it are all those of an image that is allowed.
	From string `yaml:"from"`
}

// Exception lets one finding pass in one component, for a while.
type Exception struct {
	Finding      string        `yaml:"finding"`   // its ID or an alias
	Component    PURL          `yaml:"component"` // without version: any version
	Repositories []ref.Pattern `yaml:"repositories"`
	Until        Date          `yaml:"until"` // the last day on which it counts, UTC
	Reason       string        `yaml:"reason"`
	Owner        string        `yaml:"owner"`
}

// Host is what holds on this machine.
type Host struct {
	// Environment is the one that containers here run in; whoever asks to run
	// one cannot choose another.
	Environment string `yaml:"environment"`
	// WhenUnreachable is for containers that were allowed before and are
	// unchanged, while the evidence about their images cannot be looked at.
	WhenUnreachable WhenUnreachable `yaml:"whenUnreachable"`
	// Unattributed is for containers that nobody with a team asked for: "deny"
	// (default) or "minimal", see [Minimal].
	Unattributed string `yaml:"unattributed"`
}

// Team is who belongs together, what they may do, and what they get.
type Team struct {
	Members Members          `yaml:"members"`
	May     []string         `yaml:"may"`   // of [Actions]
	Total   Total            `yaml:"total"` // of all containers of the team together
	Profile Profile          `yaml:"profile"`
	granted *profile.Profile // what Profile and Total come to
}

// Members are the people and machines of a team, by how a door knows them. No
// door of this version knows Tokens and Groups: they grant nothing.
type Members struct {
	Users        []string `yaml:"users"`        // login names on this host
	Certificates []string `yaml:"certificates"` // whole subjects, as [Caller.Certificate] has them
	Tokens       []string `yaml:"tokens"`
	Groups       []string `yaml:"groups"` // "oidc:NAME"
}

// Total bounds a team as a whole; zero means no bound.
type Total struct {
	CPUs    float64 `yaml:"cpus"`
	Memory  Bytes   `yaml:"memory"`
	PIDs    int64   `yaml:"pids"`
	Storage Bytes   `yaml:"storage"` // needs a storage in Profile
}

// Profile is a [profile.Profile] as the document spells it.
type Profile struct {
	CPUs         float64      `yaml:"cpus"`
	Memory       Bytes        `yaml:"memory"`
	PIDs         int64        `yaml:"pids"`
	IO           IO           `yaml:"io"`
	Storage      Bytes        `yaml:"storage"`
	Network      Network      `yaml:"network"`
	Capabilities Capabilities `yaml:"capabilities"`
	Mounts       []string     `yaml:"mounts"`      // see [profile.ParseMount]
	SetuidFiles  string       `yaml:"setuidFiles"` // "deny" (default) or "allow"
	ReadOnly     bool         `yaml:"readOnly"`    // the container's root cannot be written
	Devices      []string     `yaml:"devices"`
	Runtime      string       `yaml:"runtime"` // "runc" if it is left out
	Host         bool         `yaml:"host"`
}

// IO is a container's share of block devices.
type IO struct {
	Weight int `yaml:"weight"`
}

// Network is a container's network.
type Network struct {
	Mode    string   `yaml:"mode"` // "none" (default) or "bridge"
	Publish []string `yaml:"publish"`
	Egress  []string `yaml:"egress"`
}

// Capabilities are those that a container keeps.
type Capabilities struct {
	Drop string   `yaml:"drop"` // "all", which also holds if it is left out
	Add  []string `yaml:"add"`
}

// counts reports whether the exception holds at now.
func (e *Exception) counts(now time.Time) bool {
	return now.Before(e.Until.AddDate(0, 0, 1))
}
