package pkcs11

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"plimsoll/internal/fault"
)

const maxURI = 4 << 10 // bytes

// The attributes of RFC 7512, section 2.3.
var (
	pathAttributes = []string{
		"token", "manufacturer", "serial", "model",
		"library-manufacturer", "library-version", "library-description",
		"slot-manufacturer", "slot-description", "slot-id",
		"object", "type", "id",
	}
	queryAttributes = []string{"pin-source", "module-name", "module-path"}
)

// uri is a parsed pkcs11: URI. Its values are decoded; that of id holds bytes.
type uri struct {
	path, query map[string]string
	slot        uint // valid if path has a slot-id
}

// parseURI reads a pkcs11: URI. Attributes that are unknown, repeated or empty
// are Invalid: one that was misspelt would otherwise match every key.
func parseURI(s string) (uri, error) {
	if len(s) > maxURI {
		return uri{}, fault.Errorf(fault.Invalid, "pkcs11: URI of %d bytes, at most %d are taken", len(s), maxURI)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !strings.EqualFold(scheme, Scheme) {
		return uri{}, fault.Errorf(fault.Invalid, "not a pkcs11: URI")
	}
	path, query, _ := strings.Cut(rest, "?")
	var u uri
	var err error
	if u.path, err = parseAttributes(path, ";", pathAttributes, "&"); err != nil {
		return uri{}, err
	}
	if u.query, err = parseAttributes(query, "&", queryAttributes, "/?|"); err != nil {
		return uri{}, err
	}
	return u, u.check()
}

func parseAttributes(s, separator string, known []string, also string) (map[string]string, error) {
	m := make(map[string]string)
	if s == "" {
		return m, nil
	}
	for part := range strings.SplitSeq(s, separator) {
		name, raw, ok := strings.Cut(part, "=")
		if name == "pin-value" {
			err := fault.Errorf(fault.Invalid, "pkcs11: URI with pin-value: a PIN does not belong on a command line or into a log")
			return nil, fault.Hint(err, "use pin-source=file:/path, PLIMSOLL_PKCS11_PIN, or type it when asked")
		}
		if !slices.Contains(known, name) {
			err := fault.Errorf(fault.Invalid, "pkcs11: URI with the unknown attribute %q", name)
			return nil, fault.Hint(err, "known here are %s", strings.Join(known, ", "))
		}
		if _, twice := m[name]; twice {
			return nil, fault.Errorf(fault.Invalid, "pkcs11: URI with two attributes %s", name)
		}
		value, err := unescape(raw, also)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "pkcs11: URI, attribute %s: %w", name, err)
		}
		if !ok || value == "" {
			return nil, fault.Errorf(fault.Invalid, "pkcs11: URI, attribute %s: it has no value", name)
		}
		m[name] = value
	}
	return m, nil
}

// check refuses values that an attribute cannot have.
func (u *uri) check() error {
	for name, value := range u.path {
		if name != "id" && (!utf8.ValidString(value) || strings.ContainsRune(value, 0)) {
			return fault.Errorf(fault.Invalid, "pkcs11: URI, attribute %s: not UTF-8", name)
		}
	}
	if slot, ok := u.path["slot-id"]; ok {
		n, err := strconv.ParseUint(slot, 10, 32)
		if err != nil {
			return fault.Errorf(fault.Invalid, "pkcs11: URI, attribute slot-id: %q is not a number", slot)
		}
		u.slot = uint(n)
	}
	if kind, ok := u.path["type"]; ok && kind != "private" && kind != "public" {
		return fault.Errorf(fault.Invalid, "pkcs11: URI, attribute type: %q is not a key that signs; write type=private", kind)
	}
	return u.checkQuery()
}

func (u *uri) checkQuery() error {
	for name, value := range u.query {
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return fault.Errorf(fault.Invalid, "pkcs11: URI, attribute %s: not UTF-8", name)
		}
	}
	if path, ok := u.query["module-path"]; ok && !filepath.IsAbs(path) {
		return fault.Errorf(fault.Invalid, "pkcs11: URI, attribute module-path: %q is not an absolute path", path)
	}
	if name, ok := u.query["module-name"]; ok && (strings.ContainsRune(name, '/') || strings.HasPrefix(name, ".")) {
		return fault.Errorf(fault.Invalid, "pkcs11: URI, attribute module-name: %q is a path; use module-path", name)
	}
	if _, ok := u.query["pin-source"]; ok {
		if _, err := u.pinFile(); err != nil {
			return err
		}
	}
	return nil
}

// pinFile returns the path in pin-source, or "".
func (u *uri) pinFile() (string, error) {
	source, ok := u.query["pin-source"]
	if !ok {
		return "", nil
	}
	path, isFile := strings.CutPrefix(source, "file:")
	path = strings.TrimPrefix(path, "//")
	if !isFile || !filepath.IsAbs(path) {
		return "", fault.Errorf(fault.Invalid, "pkcs11: URI, attribute pin-source: %q is not file:/path, the only source that is read", source)
	}
	return filepath.Clean(path), nil
}

// String returns the URI in normal form: attributes in the order of this
// package's tables.
func (u uri) String() string {
	s := Scheme + ":" + join(u.path, pathAttributes, ";", ":")
	if q := join(u.query, queryAttributes, "&", ":/"); q != "" {
		s += "?" + q
	}
	return s
}

func join(m map[string]string, order []string, separator, also string) string {
	var parts []string
	for _, name := range order {
		if value, ok := m[name]; ok {
			parts = append(parts, name+"="+escape(value, also, name == "id"))
		}
	}
	return strings.Join(parts, separator)
}

// unescape decodes percent-encoding and refuses characters that RFC 7512,
// section 2.3, does not let stand for themselves.
func unescape(s, also string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", fmt.Errorf("cut percent-encoding")
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("percent-encoding %q", s[i:i+3])
			}
			b.WriteByte(byte(n))
			i += 2
		case unreserved(c) || strings.IndexByte(":[]@!$'()*+,="+also, c) >= 0:
			b.WriteByte(c)
		default:
			return "", fmt.Errorf("character %q must be written %%%02X", c, c)
		}
	}
	return b.String(), nil
}

// escape is the inverse of unescape; with all set, it escapes every byte, as is
// the custom for id.
func escape(s, also string, all bool) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; !all && (unreserved(c) || strings.IndexByte(also, c) >= 0) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
