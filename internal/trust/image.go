package trust

import (
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
	return nil
}

// put writes the two targets of m into t.
func (m *Image) put(t *targets) {
	file := target{Length: m.Size, Hashes: hashes{"sha256": m.Digest.Encoded()}}
	if m.Tag != "" {
		t.Targets[m.Tag] = file
	}
	platforms := make([]any, 0, len(m.Platforms))
	for _, p := range m.Platforms {
		platforms = append(platforms, map[string]any{
			"platform": p.Platform,
			"manifest": string(p.Manifest),
			"config":   string(p.Config),
			"chainID":  string(p.ChainID),
		})
	}
	file.Custom = map[string]any{"mediaType": m.MediaType, "platforms": platforms}
	t.Targets[digestTarget(m.Digest)] = file
}

// hasPlatform reports whether d is the manifest of one of the platforms that the
// target's custom part lists.
func (t target) hasPlatform(d ref.Digest) bool {
	list, _ := t.Custom["platforms"].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		if s, _ := p["manifest"].(string); s == string(d) {
			return true
		}
	}
	return false
}
