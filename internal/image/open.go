package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// Opener opens images. It may be used concurrently.
type Opener struct {
	Registry *oci.Client // needed only for names of registries
	// Progress, if set, is told how many more bytes of blobs were read; it may
	// be called concurrently.
	Progress func(n int)
	// Loose lets dir: and file: be opened. Only who merely looks at an image may
	// set it: nothing signed, decided or kept can speak of one (see [Image.Loose]).
	Loose bool
	// Engine is the socket of the Docker engine, "unix:///path"; "" is
	// unix:///var/run/docker.sock.
	Engine string
	// Vouch, if set, wraps what requests to the engine go through, where a guard
	// lets nothing pass that is not vouched for.
	Vouch func(http.RoundTripper) http.RoundTripper
	// Containerd is the folder of containerd's state, "" is /var/lib/containerd,
	// and Namespace the one to look in, "" all of them.
	Containerd, Namespace string
}

// Open returns the image that name stands for (see [ParseName]), of the given
// platform (see [ParsePlatform]) if there are several. It is NotFound if there
// is no such image or none for the platform, Untrusted if what was found is not
// what a digest named, and Invalid if it is malformed or not an image.
func (o *Opener) Open(ctx context.Context, name, platform string) (*Image, error) {
	n, err := ParseName(name)
	if err != nil {
		return nil, err
	}
	if n.Scheme == Folder || n.Scheme == SingleFile {
		m, err := o.loose(n, name, platform)
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", name, err)
		}
		return m, nil
	}
	found, err := o.find(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", name, err)
	}
	m := &Image{Name: name, Reference: n.Reference, Top: found.top, Blobs: found.blobs}
	if err := m.resolve(ctx, platform); err != nil {
		return nil, fmt.Errorf("open %q: %w", name, err)
	}
	if found.check != nil {
		if err := found.check(m); err != nil {
			return nil, fmt.Errorf("open %q: %w", name, err)
		}
	}
	return m, nil
}

// found is what a name stands for.
type found struct {
	top   v1.Descriptor
	blobs Blobs
	check func(*Image) error // what else must hold, or nil
}

func (o *Opener) find(ctx context.Context, n Name) (found, error) {
	var f found
	var err error
	switch n.Scheme {
	case Layout:
		f, err = findInLayout(n)
	case DockerArchive:
		f, err = findInArchive(ctx, n.Path)
	case Registry:
		f, err = o.findInRegistry(ctx, n.Reference)
	case Engine:
		f, err = o.findInEngine(ctx, n.Path)
	case Containerd:
		f, err = o.findInContainerd(n.Path)
	case Folder, SingleFile:
		err = errLoose
	}
	f.blobs = counted{f.blobs, o.Progress}
	return f, err
}

// errLoose is why a folder or a file is not opened.
var errLoose = fault.Hint(fault.Errorf(fault.Invalid, "a folder or a file is not an image: it has no digest that anybody could sign or judge"),
	"build an image of it and name that; plimsoll scan and plimsoll sbom take it as it is")

func (o *Opener) loose(n Name, name, platform string) (*Image, error) {
	if !o.Loose {
		return nil, errLoose
	}
	var t tree
	var err error
	if n.Scheme == Folder {
		t, err = openFolder(n.Path)
	} else {
		t, err = openSingleFile(n.Path)
	}
	if err != nil {
		return nil, err
	}
	return loose(name, platform, t, o.Progress)
}

func findInLayout(n Name) (found, error) {
	l, err := oci.OpenLayout(n.Path)
	if err != nil {
		return found{}, err
	}
	top, err := l.Resolve(n.Tag)
	return found{top: top, blobs: l}, err
}

func (o *Opener) findInRegistry(ctx context.Context, r ref.Reference) (found, error) {
	if o.Registry == nil {
		return found{}, fault.Errorf(fault.Internal, "the opener has no registry client")
	}
	m, err := o.Registry.Manifest(ctx, r)
	if err != nil {
		return found{}, err
	}
	return found{top: m.Descriptor, blobs: &remote{client: o.Registry, name: r, top: m}}, nil
}

// resolve fills m in from its Top.
func (m *Image) resolve(ctx context.Context, platform string) error {
	want, err := ParsePlatform(platform)
	if err != nil {
		return err
	}
	doc, err := readDocument(ctx, m.Blobs, m.Top)
	if err != nil {
		return err
	}
	if doc.Manifest != nil {
		if err := m.load(ctx, m.Top, *doc.Manifest); err != nil {
			return err
		}
		return m.alone(platform, want)
	}
	ix := indexer{blobs: m.Blobs}
	if err := ix.add(ctx, *doc.Index, 0); err != nil {
		return err
	}
	m.Siblings = ix.manifests
	chosen, err := choose(m.Siblings, want)
	if err != nil {
		return err
	}
	return m.loadManifest(ctx, chosen)
}

// alone refuses the only image there is if a platform was asked for and it is
// for another.
func (m *Image) alone(platform string, want v1.Platform) error {
	if have := m.Spec.Platform; platform != "" && runs(want, have) == 0 {
		return fault.Errorf(fault.NotFound, "no image for %s; the only one is for %q", platformString(want), platformString(have))
	}
	return nil
}

// Sibling returns the image of another platform of the same index; d is one of
// m.Siblings.
func (m *Image) Sibling(ctx context.Context, d v1.Descriptor) (*Image, error) {
	for _, s := range m.Siblings {
		if s.Digest == d.Digest {
			other := &Image{Name: m.Name, Reference: m.Reference, Top: m.Top, Siblings: m.Siblings, Blobs: m.Blobs}
			if err := other.loadManifest(ctx, s); err != nil {
				return nil, fmt.Errorf("open %q: %w", m.Name, err)
			}
			return other, nil
		}
	}
	return nil, fault.Errorf(fault.NotFound, "open %q: there is no manifest %s in its index", m.Name, d.Digest)
}

func (m *Image) loadManifest(ctx context.Context, d v1.Descriptor) error {
	doc, err := readDocument(ctx, m.Blobs, d)
	if err != nil {
		return err
	}
	if doc.Manifest == nil {
		return fault.Errorf(fault.Invalid, "manifest %s is an index", d.Digest)
	}
	return m.load(ctx, d, *doc.Manifest)
}

// load fills in the image of one manifest.
func (m *Image) load(ctx context.Context, d v1.Descriptor, manifest v1.Manifest) error {
	if t := manifest.Config.MediaType; t != v1.MediaTypeImageConfig && t != oci.DockerConfig {
		return fault.Errorf(fault.Invalid, "manifest %s is not of a container image: its config is a %q", d.Digest, t)
	}
	b, err := readBlob(ctx, m.Blobs, manifest.Config)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	spec, err := parseConfig(b)
	if err != nil {
		return err
	}
	if n := len(spec.RootFS.DiffIDs); n != len(manifest.Layers) {
		return fault.Errorf(fault.Invalid, "the config names %d layers, the manifest %d", n, len(manifest.Layers))
	}
	m.Manifest, m.Config, m.Layers, m.Spec = d, manifest.Config, manifest.Layers, spec
	return nil
}

// parseConfig parses an image config (image-spec, config.md).
func parseConfig(b []byte) (v1.Image, error) {
	var spec v1.Image
	if err := oci.CheckConfig(b); err != nil {
		return v1.Image{}, fault.Errorf(fault.Invalid, "parse config: %w", err)
	}
	if err := json.Unmarshal(b, &spec); err != nil {
		return v1.Image{}, fault.Errorf(fault.Invalid, "parse config: %w", err)
	}
	for i, d := range spec.RootFS.DiffIDs {
		if _, err := ref.ParseDigest(string(d)); err != nil {
			return v1.Image{}, fmt.Errorf("config: diff ID %d: %w", i, err)
		}
		if d.Algorithm() != digest.SHA256 { // the only one that engines compute
			return v1.Image{}, fault.Errorf(fault.Invalid, "config: diff ID %d is %s, not sha256", i, d.Algorithm())
		}
	}
	return spec, nil
}

// readBlob returns the verified content of a small blob.
func readBlob(ctx context.Context, blobs Blobs, d v1.Descriptor) ([]byte, error) {
	if d.Size > oci.MaxManifest {
		return nil, fault.Errorf(fault.Invalid, "blob %s of %d bytes: more than %d", d.Digest, d.Size, oci.MaxManifest)
	}
	r, err := blobs.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

func readDocument(ctx context.Context, blobs Blobs, d v1.Descriptor) (oci.Document, error) {
	b, err := readBlob(ctx, blobs, d)
	if err != nil {
		return oci.Document{}, fmt.Errorf("read manifest: %w", err)
	}
	doc, err := oci.ParseDocument(d.MediaType, b)
	if err != nil {
		return oci.Document{}, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	return doc, nil
}
