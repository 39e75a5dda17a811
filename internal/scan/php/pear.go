package php

import (
	"bytes"
	"context"
	"path"
	"strconv"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// PEAR is a [scan.Extractor] of what PEAR and PECL installed.
type PEAR struct{}

var _ scan.Extractor = PEAR{}

const maxRegistry = 16 << 20 // bytes

// Name implements [scan.Extractor].
func (PEAR) Name() string { return "pear" }

// Version implements [scan.Extractor].
func (PEAR) Version() int { return 1 }

// Wants implements [scan.Extractor]: .registry/NAME.reg, or in a folder of it for
// another channel than PEAR's own.
func (PEAR) Wants(e image.Entry, _ []byte) bool {
	return strings.HasSuffix(e.Path, ".reg") && strings.Contains("/"+e.Path, "/.registry/")
}

// Extract implements [scan.Extractor].
func (PEAR) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	text, err := metadata.All(f, maxRegistry)
	if err != nil || text == "" {
		return inventory.Found{}, err
	}
	said := map[string]string{}
	s := &serialised{rest: []byte(text), fn: func(key, value string) {
		if _, again := said[key]; !again {
			said[key] = value
		}
	}}
	if err := s.value("", 0); err != nil {
		return inventory.Found{}, err
	}
	c := inventory.Component{
		Kind: inventory.Library, Type: inventory.Generic, Namespace: said["/channel"], Name: said["/name"],
		Version: said["/version/release"],
	}
	if c.Name == "" {
		c.Name = strings.TrimSuffix(path.Base(f.Path), ".reg")
	}
	if c.Version == "" {
		c.Version = said["/version"]
	}
	if l := said["/license"] + said["/license/_content"]; l != "" {
		c.Licences = []string{l}
	}
	return inventory.Found{Components: []inventory.Component{c}}, nil
}

// serialised is a value as PHP's serialize writes it.
type serialised struct {
	rest []byte
	fn   func(key, value string) // told of texts up to two levels deep, "/version/release"
}

const (
	maxDepth = 100
	told     = 2 // levels that fn hears of
)

// value reads one value, whose place is key.
func (s *serialised) value(key string, depth int) error {
	if len(s.rest) < 2 || depth > maxDepth {
		return errMalformed
	}
	switch s.rest[0] {
	case 'N':
		_, err := s.until(';')
		return err
	case 'i', 'b', 'd':
		_, err := s.until(';')
		return err
	case 's':
		text, err := s.text()
		if err == nil && depth <= told {
			s.fn(key, text)
		}
		return err
	case 'a':
		return s.array(key, depth)
	}
	return errMalformed // objects and references are not in a registry
}

// until returns what is before the next mark, and goes behind it.
func (s *serialised) until(mark byte) (string, error) {
	i := bytes.IndexByte(s.rest[:min(len(s.rest), 64)], mark)
	if i < 0 {
		return "", errMalformed
	}
	head := string(s.rest[:i])
	s.rest = s.rest[i+1:]
	return head, nil
}

// length reads "s:12:".
func (s *serialised) length() (int, error) {
	if len(s.rest) < 2 {
		return 0, errMalformed
	}
	s.rest = s.rest[2:]
	digits, err := s.until(':')
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > len(s.rest) {
		return 0, errMalformed
	}
	return n, nil
}

// text reads s:5:"hello";
func (s *serialised) text() (string, error) {
	n, err := s.length()
	if err != nil || len(s.rest) < n+3 {
		return "", errMalformed
	}
	text := string(s.rest[1 : 1+n])
	s.rest = s.rest[n+3:]
	return text, nil
}

// array reads a:1:{KEY VALUE}
func (s *serialised) array(key string, depth int) error {
	n, err := s.length()
	if err != nil || len(s.rest) == 0 {
		return errMalformed
	}
	s.rest = s.rest[1:]
	for range n {
		var name string
		var err error
		if len(s.rest) > 0 && s.rest[0] == 's' {
			name, err = s.text()
		} else {
			name, err = s.until(';')
		}
		if err == nil {
			err = s.value(key+"/"+name[:min(len(name), 64)], depth+1)
		}
		if err != nil {
			return err
		}
	}
	if len(s.rest) == 0 || s.rest[0] != '}' {
		return errMalformed
	}
	s.rest = s.rest[1:]
	return nil
}
