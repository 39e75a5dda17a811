package ocistore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// What collections look like in a registry.
const (
	Tag          = "_trust"
	ArtifactType = "application/vnd.plimsoll.trust.v1"
	FileType     = "application/json" // media type of a layer; short, for readers fetch it for every bin
)

// maxFiles bounds the metadata files of one collection; package oci takes no
// manifest with more layers.
const maxFiles = 1000

// Config is what a [Store] needs.
type Config struct {
	Registry *oci.Client
	// PutTime is the longest that a PUT of a manifest may take; publishers of
	// one repository must agree on it. 0 means 4 s, or one second for a
	// registry on this machine.
	PutTime time.Duration
	// Patience is how long to wait for another publisher to finish. 0 means two
	// minutes.
	Patience time.Duration
	Now      func() time.Time
}

// Store keeps collections in registries. It may be used concurrently.
type Store struct{ cfg Config }

var _ trust.Store = (*Store)(nil)

// New returns a store.
func New(cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	return &Store{cfg}
}

func (s *Store) putTime(gun ref.GUN) time.Duration {
	if s.cfg.PutTime > 0 {
		return s.cfg.PutTime
	}
	if isLoopback(gun.Reference().Host) {
		return time.Second
	}
	return 4 * time.Second
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Load implements [trust.Source]: one manifest, read once.
func (s *Store) Load(ctx context.Context, gun ref.GUN) (trust.Collection, error) {
	c, err := s.load(ctx, gun, Tag)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Store) load(ctx context.Context, gun ref.GUN, tag string) (*collection, error) {
	m, err := s.cfg.Registry.Manifest(ctx, gun.Reference().WithTag(tag))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Errorf(fault.NotFound, "no trust data for %q: %w", gun, err)
	} else if fault.Is(err, fault.Invalid) { // whoever serves this serves wrong evidence
		return nil, fault.Errorf(fault.Untrusted, "trust data of %q: %w", gun, err)
	} else if err != nil {
		return nil, fmt.Errorf("trust data of %q: %w", gun, err)
	}
	files, err := parseManifest(m.Bytes)
	if err != nil {
		return nil, fmt.Errorf("trust data of %q: %w", gun, err)
	}
	return &collection{registry: s.cfg.Registry, gun: gun, manifest: m, files: files}, nil
}

// parseManifest returns the files that a manifest lists, by name.
func parseManifest(b []byte) (map[string]v1.Descriptor, error) {
	var m v1.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fault.Errorf(fault.Untrusted, "manifest: %w", err)
	}
	if m.ArtifactType != ArtifactType {
		return nil, fault.Errorf(fault.Untrusted, "the tag %s holds an artifact of type %q, not trust data", Tag, m.ArtifactType)
	}
	if len(m.Layers) > maxFiles {
		return nil, fault.Errorf(fault.Untrusted, "%d metadata files", len(m.Layers))
	}
	files := make(map[string]v1.Descriptor, len(m.Layers))
	for _, d := range m.Layers {
		name := d.Annotations[v1.AnnotationTitle]
		if _, twice := files[name]; twice || name == "" || d.Size < 0 {
			return nil, fault.Errorf(fault.Untrusted, "metadata file %q: without a name, or twice", name)
		}
		if _, err := ref.ParseDigest(string(d.Digest)); err != nil {
			return nil, fault.As(fault.Untrusted, err)
		}
		files[name] = v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	}
	return files, nil
}

// collection is one manifest and the files that it lists.
type collection struct {
	registry *oci.Client
	gun      ref.GUN
	manifest oci.Manifest
	files    map[string]v1.Descriptor
}

// Read implements [trust.Collection]. A file that the manifest lists but the
// registry does not have is Untrusted: it was there when it was published.
func (c *collection) Read(ctx context.Context, name string, limit int64) (b []byte, err error) {
	d, ok := c.files[name]
	if !ok {
		return nil, fault.Errorf(fault.NotFound, "no metadata file %q", name)
	}
	if d.Size > limit {
		return nil, fault.Errorf(fault.Untrusted, "metadata file %q has %d bytes, at most %d are taken", name, d.Size, limit)
	}
	r, err := c.registry.Blob(ctx, c.gun, d)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Errorf(fault.Untrusted, "metadata file %q is listed but gone: %w", name, err)
	} else if err != nil {
		return nil, fmt.Errorf("metadata file %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if b, err = io.ReadAll(r); err != nil {
		return nil, fmt.Errorf("metadata file %q: %w", name, err)
	}
	return b, nil
}
