package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// tags are the images of the story, as harbour has built them.
var tags = []string{"old", "new", "unsigned", "altered"}

// images brings the images into the registry.
func (s *story) images(ctx context.Context) error {
	s.stage.prose("Debian's packages, a Go program, npm and Python packages make harbour:old (no security updates,\n" +
		"old versions) and harbour:new. A registry on loopback takes them.")
	for _, tag := range tags {
		if err := s.push(ctx, tag, s.image(tag)); err != nil {
			return err
		}
	}
	return s.push(ctx, "foreign", s.stranger()+":new")
}

func (s *story) push(ctx context.Context, tag, to string) error {
	r, err := s.plimsoll(ctx, allowed, "copy", "oci:harbour:"+tag, to)
	if err == nil && !strings.Contains(r.out, "sha256:") {
		err = fmt.Errorf("copy names no digest")
	}
	return err
}

// layer returns the file of the i-th layer of one of harbour's images; -1 is the
// last.
func (s *story) layer(tag string, i int) (string, error) {
	layout := filepath.Join(s.top, ".cache", "harbour")
	var index v1.Index
	if err := readJSON(filepath.Join(layout, v1.ImageIndexFile), &index); err != nil {
		return "", err
	}
	for _, m := range index.Manifests {
		if m.Annotations[v1.AnnotationRefName] != tag {
			continue
		}
		var manifest v1.Manifest
		if err := readJSON(filepath.Join(layout, "blobs/sha256", m.Digest.Encoded()), &manifest); err != nil {
			return "", err
		}
		if i < 0 {
			i += len(manifest.Layers)
		}
		return filepath.Join(layout, "blobs/sha256", manifest.Layers[i].Digest.Encoded()), nil
	}
	return "", fmt.Errorf("%s has no image %s", layout, tag)
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	return json.Unmarshal(b, into)
}
