package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxDepth bounds how deep JSON documents may be nested.
const maxDepth = 32

// spelling says which fields of a document matter, folded and as they are
// written, and below which fields the keys are free. JSON decoders differ in
// whether they take other spellings; ours, like other Go programs', does.
type spelling struct {
	fields map[string]string
	free   []string
}

var documentSpelling = spelling{
	fields: spelled("schemaVersion", "mediaType", "artifactType", "config", "layers", "fsLayers", "manifests", "subject",
		"annotations", "digest", "size", "urls", "data", "platform", "architecture", "os", "variant"),
	free: []string{"annotations"},
}

var configSpelling = spelling{
	fields: spelled("architecture", "os", "variant", "config", "rootfs", "diff_ids", "history"),
	free:   []string{"config", "container_config"},
}

func spelled(names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, name := range names {
		m[folded(name)] = name
	}
	return m
}

// folded returns one spelling for all those that encoding/json takes for the same
// field: it also takes the long s (U+017F) for an s, which has no lower case
// of its own, and the sign for Kelvin (U+212A) for a k.
func folded(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// CheckConfig refuses an image config that two decoders could read differently:
// with a field twice, with a field that matters in other letters, with anything
// behind the document, or nested beyond reason.
func CheckConfig(b []byte) error { return configSpelling.check(b) }

// CheckFields does the same for a document in which the given fields matter.
func CheckFields(b []byte, fields ...string) error {
	return spelling{fields: spelled(fields...)}.check(b)
}

func (s spelling) check(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := s.value(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

func (s spelling) value(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return s.object(dec, depth)
	case json.Delim('['):
		for dec.More() {
			if err := s.value(dec, depth+1); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	}
	return err
}

func (s spelling) object(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if seen[key] {
			return fmt.Errorf("field %q twice", key)
		}
		seen[key] = true
		if name, ok := s.fields[folded(key)]; ok && name != key {
			return fmt.Errorf("field %q instead of %q", key, name)
		}
		inner := s
		if slices.Contains(s.free, key) {
			inner = spelling{}
		}
		if err := inner.value(dec, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}
