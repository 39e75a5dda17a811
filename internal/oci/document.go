package oci

import (
	"encoding/json"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// maxDescriptors bounds the layers of a manifest and the manifests of an index.
const maxDescriptors = 1000

// Document is a parsed index or manifest: exactly one of the two is set.
type Document struct {
	MediaType string
	Index     *v1.Index
	Manifest  *v1.Manifest
}

// ParseDocument parses b, which came as mediaType ("" if nobody said). It is
// Invalid if the media type is not that of a manifest or index, if the document
// says another, if it could be read as the other of the two, or if readers
// could disagree about its content.
func ParseDocument(mediaType string, b []byte) (Document, error) {
	if len(b) > MaxManifest {
		return Document{}, fault.Errorf(fault.Invalid, "manifest of %d bytes: more than %d", len(b), MaxManifest)
	}
	if err := documentSpelling.check(b); err != nil {
		return Document{}, fault.Errorf(fault.Invalid, "parse manifest: %w", err)
	}
	var all struct {
		v1.Index
		Config   *v1.Descriptor  `json:"config"`
		Layers   []v1.Descriptor `json:"layers"`
		FSLayers json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return Document{}, fault.Errorf(fault.Invalid, "parse manifest: %w", err)
	}
	mediaType, err := agree(mediaType, all.MediaType)
	if err != nil {
		return Document{}, err
	}
	isIndex := all.Manifests != nil
	isManifest := all.Config != nil || all.Layers != nil || all.FSLayers != nil
	switch {
	case isIndex && isManifest:
		return Document{}, fault.Errorf(fault.Invalid, "the document is an index and a manifest at once")
	case IsIndex(mediaType) && isManifest, IsManifest(mediaType) && isIndex:
		return Document{}, fault.Errorf(fault.Invalid, "the document is not the %s that it says it is", mediaType)
	case all.SchemaVersion != 2:
		return Document{}, fault.Errorf(fault.Invalid, "manifest has schema version %d, not 2", all.SchemaVersion)
	}
	if IsIndex(mediaType) {
		index := all.Index
		return Document{MediaType: mediaType, Index: &index}, checkDescriptors(index.Subject, index.Manifests)
	}
	return parseManifest(mediaType, b)
}

func parseManifest(mediaType string, b []byte) (Document, error) {
	var m v1.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return Document{}, fault.Errorf(fault.Invalid, "parse manifest: %w", err)
	}
	if err := CheckDescriptor(m.Config); err != nil {
		return Document{}, fmt.Errorf("config: %w", err)
	}
	return Document{MediaType: mediaType, Manifest: &m}, checkDescriptors(m.Subject, m.Layers)
}

// agree returns the media type of a document that came as outer and says inner.
func agree(outer, inner string) (string, error) {
	t := outer
	switch {
	case outer == "":
		t = inner
	case inner != "" && inner != outer:
		return "", fault.Errorf(fault.Invalid, "manifest of the wrong media type: it came as %q and says %q", outer, inner)
	}
	if !IsIndex(t) && !IsManifest(t) {
		return "", fault.Errorf(fault.Invalid, "media type %q is not that of an image manifest or index", t)
	}
	return t, nil
}

func checkDescriptors(subject *v1.Descriptor, ds []v1.Descriptor) error {
	if subject != nil {
		if err := CheckDescriptor(*subject); err != nil {
			return fmt.Errorf("subject: %w", err)
		}
	}
	if len(ds) > maxDescriptors {
		return fault.Errorf(fault.Invalid, "%d descriptors: more than %d", len(ds), maxDescriptors)
	}
	for i, d := range ds {
		if err := CheckDescriptor(d); err != nil {
			return fmt.Errorf("descriptor %d: %w", i, err)
		}
	}
	return nil
}

// CheckDescriptor returns an Invalid error unless d has a media type, a digest
// that we can check and a length (image-spec, descriptor.md).
func CheckDescriptor(d v1.Descriptor) error {
	if _, err := ref.ParseDigest(string(d.Digest)); err != nil {
		return err
	}
	if d.Size < 0 || d.MediaType == "" {
		return fault.Errorf(fault.Invalid, "descriptor of %s: media type %q, size %d", d.Digest, d.MediaType, d.Size)
	}
	return nil
}
