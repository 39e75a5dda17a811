package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// A layout is an OCI image layout on disk that images are added to.
type layout struct{ dir string }

// A layer is a blob of the layout and the digest of its plain bytes.
type layer struct {
	Descriptor v1.Descriptor `json:"descriptor"`
	DiffID     digest.Digest `json:"diffID"`
	By         string        `json:"by"` // what made it, for the config's history
}

func openLayout(dir string) (*layout, error) {
	for _, d := range []string{"blobs/sha256", "made"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("make layout: %w", err)
		}
	}
	l := &layout{dir}
	return l, l.write(filepath.Join(dir, v1.ImageLayoutFile), []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

// once returns the layer that was made under key, or makes it. The key is the
// digest of everything that goes in.
func (l *layout) once(key, by string, fill func(*tree) error) (layer, error) {
	record := filepath.Join(l.dir, "made", key+".json")
	var have layer
	if b, err := os.ReadFile(record); err == nil && json.Unmarshal(b, &have) == nil {
		if _, err := os.Stat(l.path(have.Descriptor.Digest)); err == nil {
			return have, nil
		}
	}
	say("layer: %s", by)
	made, err := l.add(by, fill)
	if err != nil {
		return layer{}, err
	}
	b, err := json.Marshal(made)
	if err != nil {
		return layer{}, fmt.Errorf("record layer: %w", err)
	}
	return made, l.write(record, b)
}

// add writes one gzip layer and returns it.
func (l *layout) add(by string, fill func(*tree) error) (layer, error) {
	f, err := os.CreateTemp(l.dir, "layer-")
	if err != nil {
		return layer{}, fmt.Errorf("make layer: %w", err)
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }() // gone after the rename
	blob := &sum{w: f, h: sha256.New()}
	zip := gzip.NewWriter(blob)
	plain := &sum{w: zip, h: sha256.New()}
	t := newTree(plain)
	if err := errors.Join(fill(t), t.Close(), zip.Close(), f.Chmod(0o644)); err != nil {
		return layer{}, err
	}
	d := v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip, Digest: blob.digest(), Size: blob.n}
	return layer{d, plain.digest(), by}, os.Rename(f.Name(), l.path(d.Digest))
}

// image writes the image of layers under the tag name.
func (l *layout) image(name, arch string, layers []layer) error {
	config := v1.Image{
		Platform: v1.Platform{OS: "linux", Architecture: arch},
		Config: v1.ImageConfig{
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Cmd: []string{"/bin/bash"},
		},
		RootFS: v1.RootFS{Type: "layers"},
	}
	manifest := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	for _, layer := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.DiffID)
		config.History = append(config.History, v1.History{CreatedBy: layer.By})
		manifest.Layers = append(manifest.Layers, layer.Descriptor)
	}
	var err error
	if manifest.Config, err = l.document(v1.MediaTypeImageConfig, config); err != nil {
		return err
	}
	d, err := l.document(v1.MediaTypeImageManifest, manifest)
	if err != nil {
		return err
	}
	d.Platform = &config.Platform
	d.Annotations = map[string]string{v1.AnnotationRefName: name}
	return l.tag(name, d)
}

// tag makes name point to d in the layout's index.
func (l *layout) tag(name string, d v1.Descriptor) error {
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	path := filepath.Join(l.dir, v1.ImageIndexFile)
	if b, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(b, &index); err != nil {
			return fmt.Errorf("read layout's index: %w", err)
		}
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(m v1.Descriptor) bool { return m.Annotations[v1.AnnotationRefName] == name })
	index.Manifests = append(index.Manifests, d)
	b, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return fmt.Errorf("write layout's index: %w", err)
	}
	return l.write(path, b)
}

// document writes v as a JSON blob.
func (l *layout) document(mediaType string, v any) (v1.Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("write %s: %w", mediaType, err)
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	return d, l.write(l.path(d.Digest), b)
}

func (l *layout) path(d digest.Digest) string {
	return filepath.Join(l.dir, "blobs", d.Algorithm().String(), d.Encoded())
}

// write puts b into path, whole or not at all.
func (l *layout) write(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	return os.Rename(path+".new", path)
}

// A sum passes bytes on, counts and hashes them.
type sum struct {
	w io.Writer
	h hash.Hash
	n int64
}

func (s *sum) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	return n, err
}

func (s *sum) digest() digest.Digest { return digest.NewDigest(digest.SHA256, s.h) }
