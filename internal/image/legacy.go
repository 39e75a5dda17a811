package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// saved is an image in the manifest.json of docker save.
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

var hexName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseSaved parses a manifest.json.
func parseSaved(b []byte) ([]saved, error) {
	if err := oci.CheckFields(b, "Config", "RepoTags", "Layers"); err != nil {
		return nil, fault.Errorf(fault.Invalid, "parse %q: %w", dockerManifest, err)
	}
	var all []saved
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fault.Errorf(fault.Invalid, "parse %q: %w", dockerManifest, err)
	}
	return all, nil
}

func (a *archive) saved() ([]saved, error) {
	b, err := a.small(dockerManifest)
	if err != nil {
		return nil, err
	}
	return parseSaved(b)
}

// legacy returns a manifest for an archive that has none. Its layers are named
// by the config's diff IDs if they are plain, so wrong bytes are found as they
// are read; compressed ones have no name there and are hashed first.
func (a *archive) legacy(ctx context.Context) (v1.Descriptor, error) {
	all, err := a.saved()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if len(all) != 1 {
		err := fault.Errorf(fault.Invalid, "there are %d images in the archive: %q", len(all), names(all))
		return v1.Descriptor{}, fault.Hint(err, "save one at a time: docker save -o FILE IMAGE")
	}
	config, spec, err := a.config(all[0].Config)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if n := len(spec.RootFS.DiffIDs); n != len(all[0].Layers) {
		return v1.Descriptor{}, fault.Errorf(fault.Invalid, "the config names %d layers, the archive %d", n, len(all[0].Layers))
	}
	manifest := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.DockerManifest, Config: config, Layers: []v1.Descriptor{}}
	for i, name := range all[0].Layers {
		d, err := a.layer(ctx, name, spec.RootFS.DiffIDs[i])
		if err != nil {
			return v1.Descriptor{}, fmt.Errorf("layer %d, %q: %w", i, name, err)
		}
		manifest.Layers = append(manifest.Layers, d)
	}
	b, err := json.Marshal(manifest)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("write manifest: %w", err)
	}
	d := v1.Descriptor{MediaType: oci.DockerManifest, Digest: digest.FromBytes(b), Size: int64(len(b))}
	a.made[d.Digest] = b
	return d, nil
}

// config reads the config, whose file is named by its digest.
func (a *archive) config(name string) (v1.Descriptor, v1.Image, error) {
	b, err := a.small(name)
	if err != nil {
		return v1.Descriptor{}, v1.Image{}, err
	}
	d := v1.Descriptor{MediaType: oci.DockerConfig, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if hex := digestOfName(name); hex != "" && hex != d.Digest.Encoded() {
		return d, v1.Image{}, fault.Errorf(fault.Untrusted, "config %q has digest %s", name, d.Digest)
	}
	spec, err := parseConfig(b)
	if err != nil {
		return d, v1.Image{}, err
	}
	a.named[d.Digest], err = a.lookup(name)
	return d, spec, err
}

// digestOfName returns the SHA-256 that a config's file name states:
// "HEX.json", "sha256:HEX" or "blobs/sha256/HEX".
func digestOfName(name string) string {
	base := strings.TrimPrefix(strings.TrimSuffix(path.Base(name), ".json"), "sha256:")
	if !hexName.MatchString(base) {
		return ""
	}
	return base
}

func (a *archive) layer(ctx context.Context, name string, diffID ref.Digest) (v1.Descriptor, error) {
	s, err := a.lookup(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	r, err := a.read(s)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer func() { _ = r.Close() }()
	head := make([]byte, min(4, s.size))
	if _, err := io.ReadFull(r, head); err != nil {
		return v1.Descriptor{}, fault.Errorf(fault.Invalid, "cut short: %w", err)
	}
	d := v1.Descriptor{MediaType: oci.DockerLayer, Digest: diffID, Size: s.size}
	have, twice := a.named[diffID]
	p := packing(head)
	if p == plainTar && (!twice || have == s) {
		a.named[diffID] = s
		return d, nil
	}
	got, err := hashBlob(ctx, head, r)
	switch {
	case err != nil:
		return v1.Descriptor{}, fmt.Errorf("hash: %w", err)
	case p == gzipped:
		d.MediaType, d.Digest = oci.DockerLayerGzip, got
	case p == zstdised:
		d.MediaType, d.Digest = oci.DockerLayerZstd, got
	case got != diffID: // of two files by one name, only the last is read again
		return v1.Descriptor{}, fault.Errorf(fault.Untrusted, "the config says diff ID %s, the bytes have %s", diffID, got)
	}
	a.named[d.Digest] = s
	return d, nil
}

func hashBlob(ctx context.Context, head []byte, r io.Reader) (ref.Digest, error) {
	h := digest.SHA256.Digester()
	_, _ = h.Hash().Write(head)
	_, err := io.Copy(h.Hash(), &blobReader{ctx: ctx, r: r})
	return h.Digest(), err
}

func names(all []saved) []string {
	var names []string
	for _, s := range all {
		names = append(names, s.RepoTags...)
	}
	slices.Sort(names)
	return names
}
