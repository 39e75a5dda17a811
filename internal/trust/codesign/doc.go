// Package codesign makes and checks the X.509 certificates that stand for
// signing keys where a format asks for a certificate instead of a key.
//
// A chain proves whose key signed, by the word of an authority that the policy
// names. It proves nothing about when: without a countersigned time a
// certificate counts only while it is valid. Revocation (CRL, OCSP) is not asked
// for; whoever no longer believes an authority takes it out of the policy.
package codesign
