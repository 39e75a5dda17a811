// Package ocistore keeps trust collections in any OCI registry: all metadata
// files of a repository are the layers of one manifest under its tag "_trust",
// so that a reader sees one state or another and never half of one.
//
// The manifest's artifact type is [ArtifactType]; each layer is one file and
// carries its name in the annotation org.opencontainers.image.title. The whole
// chain of roots is kept, of other roles only the current version.
//
// Publishing is a conditional request where the registry knows those. Most do
// not, and tags have no compare-and-set of their own: there a publisher first
// claims the collection under the tag "_trust.claim", waits longer than a PUT
// may take, and goes on only if the claim is still its own. Either way the tag
// is read again before and after it is written.
package ocistore
