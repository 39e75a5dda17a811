package key

import (
	"slices"

	"plimsoll/internal/fault"
)

// Policy says when a token wants a PIN or a touch before it signs.
type Policy string

// The policies. PolicyCached is a touch that serves for 15 seconds; with the
// match policies a finger stands for the PIN.
const (
	PolicyNever       Policy = "never"
	PolicyOnce        Policy = "once" // per session with the token
	PolicyAlways      Policy = "always"
	PolicyCached      Policy = "cached"
	PolicyMatchOnce   Policy = "match-once"
	PolicyMatchAlways Policy = "match-always"
)

// Policies are when a new key is to want a PIN and a touch. What is "" is left to
// the provider.
type Policies struct{ PIN, Touch Policy }

// ParsePolicies returns the policies called pin and touch, or Invalid: a key may
// want a PIN never, once or always, and a touch never, always or cached.
func ParsePolicies(pin, touch string) (Policies, error) {
	p := Policies{Policy(pin), Policy(touch)}
	if !slices.Contains([]Policy{"", PolicyNever, PolicyOnce, PolicyAlways}, p.PIN) {
		return Policies{}, fault.Errorf(fault.Invalid, "unknown PIN policy %q; known are never, once and always", cut(pin))
	}
	if !slices.Contains([]Policy{"", PolicyNever, PolicyAlways, PolicyCached}, p.Touch) {
		return Policies{}, fault.Errorf(fault.Invalid, "unknown touch policy %q; known are never, always and cached", cut(touch))
	}
	return p, nil
}
