// Package verdict is the gate's answer in the form that doors and the runtime
// exchange: the decision, the reasons for it, and the receipt that the audit log
// gave for it.
package verdict

import (
	"time"

	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
)

// Outcome is what a rule, or the gate as a whole, came to.
type Outcome string

// The outcomes. A gate's answer is Allowed or Denied; a rule may also be
// Excepted (it would deny, but an exception in the policy covers it) or not
// apply at all.
const (
	Allowed       Outcome = "allowed"
	Denied        Outcome = "denied"
	Excepted      Outcome = "excepted"
	NotApplicable Outcome = "not applicable"
)

// Class says what stands behind a denial; it decides the exit code.
type Class string

// The classes of reason.
const (
	Rule        Class = "rule"        // the evidence is valid and a rule denies: exit 3
	Evidence    Class = "evidence"    // evidence is missing, expired or wrong: exit 4
	Unavailable Class = "unavailable" // it could not be looked at: exit 1
)

// Reason is one rule's outcome with what it rests on.
type Reason struct {
	Rule     string   `json:"rule"` // "signed", "scanned", "team", or the id of a policy rule
	Outcome  Outcome  `json:"outcome"`
	Class    Class    `json:"class,omitempty"` // of a denial
	Message  string   `json:"message"`
	Evidence []string `json:"evidence,omitempty"` // findings, components or keys, one line each
	Hint     string   `json:"hint,omitempty"`
}

// Decision is the gate's one answer to "may this digest run here, for this
// team?".
type Decision struct {
	ID          string           `json:"id"` // random, unique
	Time        time.Time        `json:"time"`
	Door        string           `json:"door"`  // "check", "run", …
	Image       string           `json:"image"` // as it was asked for
	GUN         ref.GUN          `json:"gun,omitempty"`
	Digest      ref.Digest       `json:"digest,omitempty"`   // what the name resolved to: index or manifest
	Manifest    ref.Digest       `json:"manifest,omitempty"` // the platform's image manifest
	Environment string           `json:"environment"`
	Team        string           `json:"team,omitempty"`
	Caller      string           `json:"caller,omitempty"`
	Container   string           `json:"container,omitempty"` // ID of what was to be started, where that is known
	Rests       string           `json:"rests,omitempty"`     // ID of an earlier decision that this one repeats: nothing was looked at again
	Outcome     Outcome          `json:"outcome"`             // Allowed or Denied
	Reasons     []Reason         `json:"reasons"`
	PolicyHash  ref.Digest       `json:"policy"`            // of the policy document's bytes
	Profile     *profile.Profile `json:"profile,omitempty"` // what the container gets; nil if denied or no team was named
	Receipt     *Receipt         `json:"receipt,omitempty"`
}

// Receipt is the audit log's promise that the decision is written: its index
// and the hash of its leaf (RFC 6962 section 2.1).
type Receipt struct {
	Log   string `json:"log"` // the log's name, its key name in checkpoints
	Index int64  `json:"index"`
	Leaf  string `json:"leaf"` // base64
}

// Allowed reports whether the answer is yes.
func (d *Decision) Allowed() bool { return d.Outcome == Allowed }
