// Package sigstore writes and reads signatures in Sigstore's formats, as cosign
// stores them: an in-toto statement in a DSSE envelope in a Sigstore bundle
// (version 0.3; 0.1 and 0.2 are read), and the older "simple signing".
//
// What such a signature says is that a key signed this digest, once. It says
// nothing about the tag or the repository, nothing about what came later, and
// nothing that a second key would have to agree to. Keyless signatures, whose
// identity rests on a transparency log, are refused: this package knows keys, and
// certificates of authorities that are named.
//
// Everything that is read was put into a registry by somebody: sizes are capped
// before parsing, a field in two spellings or twice is refused, and nothing is
// looked at before its signature was.
package sigstore
