// Package oci speaks to registries and reads and writes OCI layouts.
//
// A registry is not trusted. What it sends is taken only if it is what the
// request named: blobs are read through [VerifyReader], manifests are hashed
// here whatever the registry's headers say, and their media type must be on the
// list of those we know and the same wherever it is written. Bodies, pages,
// redirects, tries and waiting times are bounded.
//
// Errors have the kinds of package fault: NotFound for what is not there,
// Unavailable for what could not be asked, Untrusted for bytes that are not
// those that their digest names, Invalid for documents that are malformed, and
// Conflict where a condition did not hold.
package oci

import (
	_ "crypto/sha256" // for digests
	_ "crypto/sha512"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// MaxManifest is the size in bytes up to which manifests, indexes and configs
// are read: what the distribution specification asks registries to take at
// least (distribution-spec, "Pushing Manifests").
const MaxManifest = 4 << 20

// Media types of Docker's image format, version 2 schema 2
// (docs.docker.com, "Image Manifest V 2, Schema 2").
const (
	DockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	DockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerConfig       = "application/vnd.docker.container.image.v1+json"
	DockerLayer        = "application/vnd.docker.image.rootfs.diff.tar"
	DockerLayerGzip    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	DockerLayerZstd    = "application/vnd.docker.image.rootfs.diff.tar.zstd"
)

var (
	manifestTypes = []string{v1.MediaTypeImageManifest, DockerManifest}
	indexTypes    = []string{v1.MediaTypeImageIndex, DockerManifestList}
)

// IsManifest reports whether mediaType is that of an image manifest.
func IsManifest(mediaType string) bool { return slices.Contains(manifestTypes, mediaType) }

// IsIndex reports whether mediaType is that of an index (Docker: manifest list).
func IsIndex(mediaType string) bool { return slices.Contains(indexTypes, mediaType) }
