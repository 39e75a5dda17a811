// Package notation writes and reads signatures of the Notary Project, as the
// program notation stores them: a JWS envelope (signature-envelope-jws.md) whose
// payload is the image's descriptor, with the signer's X.509 chain.
//
// The key signs the image's media type, digest and size, and the time that its
// machine had. Nothing says what came later, which tag or repository was meant,
// or that a second key agreed. Expiry is checked where the signer gave one. A
// countersigned time (RFC 3161) is not looked at, so a signature counts while its
// certificate is valid. COSE envelopes, the signing-authority scheme and plugins
// are refused and never passed over in silence.
package notation
