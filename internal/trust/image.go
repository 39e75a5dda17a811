package trust

import (
	"fmt"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Image is what is signed of an image.
type Image struct {
	Tag       string     // "" to sign the digest alone
	Digest    ref.Digest // of the top descriptor: an index or a manifest
	Size      int64      // of the top descriptor, bytes
	MediaType string     // of the top descriptor
	Platforms []Platform // every platform's image; one if the top is a manifest
}

// Platform is one platform's image as its publisher read it: the digests by
// which doors that never see the top descriptor know it.
type Platform struct {
	Platform string     // "linux/amd64", "linux/arm/v7"
	Manifest ref.Digest // its image manifest
	Size     int64      // of the manifest, bytes
	Config   ref.Digest // its config, which Docker calls the image ID
	ChainID  ref.Digest // of all its layers (OCI image-spec config.md, "Layer ChainID")
}

// check refuses an image that a reader would not find again.
func (m *Image) check() error {
	d, err := ref.ParseDigest(string(m.Digest))
	if err != nil {
		return err
	}
	if d.Algorithm() != "sha256" {
		return fault.Errorf(fault.Invalid, "image %q: only SHA-256 digests are signed", m.Digest)
	}
	if m.Size <= 0 || len(m.Platforms) == 0 {
		return fault.Errorf(fault.Invalid, "image %q: size or platforms are missing", m.Digest)
	}
	for _, p := range m.Platforms {
		d, err := ref.ParseDigest(string(p.Manifest))
		if err != nil {
			return fmt.Errorf("image %q, platform %q: %w", m.Digest, p.Platform, err)
		}
		if d.Algorithm() != "sha256" || p.Size <= 0 {
			return fault.Errorf(fault.Invalid, "image %q, platform %q: no size, or no SHA-256 digest", m.Digest, p.Platform)
		}
	}
	return nil
}

// targets returns the two targets of m, by name.
func (m *Image) targets() map[string]target {
	file := target{Length: m.Size, Hashes: hashes{"sha256": m.Digest.Encoded()}}
	all := map[string]target{}
	if m.Tag != "" {
		all[m.Tag] = file
	}
	platforms := make([]any, 0, len(m.Platforms))
	for _, p := range m.Platforms {
		platforms = append(platforms, map[string]any{
			"platform": p.Platform,
			"manifest": string(p.Manifest),
			"size":     p.Size,
			"config":   string(p.Config),
			"chainID":  string(p.ChainID),
		})
	}
	file.Custom = map[string]any{"mediaType": m.MediaType, platformsField: platforms}
	all[digestTarget(m.Digest)] = file
	return all
}

// The custom part of an image's target that lists its platforms.
const platformsField = "platforms"

// platforms returns the manifests of the platforms of t, an image's target, with
// their sizes; none of another target.
func (t target) platforms() []Platform {
	list, _ := t.Custom[platformsField].([]any)
	var all []Platform
	for _, v := range list {
		p, _ := v.(map[string]any)
		name, _ := p["platform"].(string)
		text, _ := p["manifest"].(string)
		if d, err := ref.ParseDigest(text); err == nil {
			all = append(all, Platform{Platform: name, Manifest: d, Size: parseSize(p["size"])})
		}
	}
	return all
}

// hasPlatform reports whether d is the manifest of one of the platforms that the
// target's custom part lists.
func (t target) hasPlatform(d ref.Digest) bool {
	return slices.ContainsFunc(t.platforms(), func(p Platform) bool { return p.Manifest == d })
}
