package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth bounds how deep JSON documents may be nested.
const maxDepth = 32

// names are the fields of manifests, indexes and descriptors. JSON decoders
// differ in whether they take other spellings of them; we refuse those.
var names = map[string]string{
	"schemaversion": "schemaVersion", "mediatype": "mediaType", "artifacttype": "artifactType", "config": "config",
	"layers": "layers", "fslayers": "fsLayers", "manifests": "manifests", "subject": "subject",
	"annotations": "annotations", "digest": "digest", "size": "size", "urls": "urls", "data": "data",
	"platform": "platform", "architecture": "architecture", "os": "os", "variant": "variant",
}

// checkJSON refuses documents that two decoders could read differently: with a
// field twice, with a known field in other letters, or with anything behind the
// first value.
func checkJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := checkValue(dec, 0, names); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int, names map[string]string) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return checkObject(dec, depth, names)
	case json.Delim('['):
		for dec.More() {
			if err := checkValue(dec, depth+1, names); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	}
	return err
}

func checkObject(dec *json.Decoder, depth int, names map[string]string) error {
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
		if name, ok := names[strings.ToLower(key)]; ok && name != key {
			return fmt.Errorf("field %q instead of %q", key, name)
		}
		inner := names
		if key == "annotations" { // keys of its own, chosen freely
			inner = nil
		}
		if err := checkValue(dec, depth+1, inner); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}
