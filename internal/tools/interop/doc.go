// Package interop holds the tests that let readers and writers of other people
// (sigstore-go, notation-go) meet ours: what we sign they accept and refuse once
// it is altered, and what they sign we accept and refuse in the same way.
//
// It is a module of its own, so that those libraries weigh on nothing else.
package interop
