// Package trust is The Update Framework (TUF 1.0.34) for container images: the
// publisher's side, a [Repository] that signs, and the consumer's side, a
// [Client] that verifies.
//
// One trust collection speaks for one GUN. Its root, its targets and every
// delegated role carry the GUN in the signed field "x-plimsoll-gun", so that a
// registry cannot serve one repository's metadata for another. A client starts
// from [Pins], the fingerprints of root keys that a person or a policy names; it
// never trusts what it merely saw first. [Plain] is the same client for any other
// TUF repository: it starts from a root that is given to it.
//
// Signing an image writes two targets: "<tag>", the length and hash of what the
// tag resolves to, and "sha256/<hex>", which also says which platform manifests,
// configs and layer chains belong to it. Asked by tag the first decides, asked by
// digest the second.
//
// Metadata is canonical JSON that anybody may have written: it is parsed under
// caps on size, depth and count, and what is not understood in the signed part
// is kept when it is signed again.
package trust
