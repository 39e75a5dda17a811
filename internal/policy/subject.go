package policy

import (
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
)

// Subject says whose certificates count: those whose subject has all of these
// attributes, whatever else it has. It is written as RFC 4514 does,
// "CN=release, O=Example"; "*" is everybody.
type Subject struct {
	attributes map[string]string // by short name; nil for everybody
	text       string
}

// attributeNames are the short names of RFC 4514, section 3, that a policy may
// use, by object identifier. S is another word for ST.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "STREET",
	"2.5.4.5": "SERIALNUMBER", "2.5.4.17": "POSTALCODE",
}

// String returns the subject as it was written.
func (s Subject) String() string { return s.text }

// Match reports whether name is such a subject. An attribute that stands in name
// more than once matches if one of its values does, but for the common name: an
// authority that checks one of two would vouch for whatever the other says.
func (s Subject) Match(name pkix.Name) bool {
	if s.text == "" {
		return false
	}
	for want, value := range s.attributes {
		var values []any
		for _, a := range name.Names {
			if attributeNames[a.Type.String()] == want {
				values = append(values, a.Value)
			}
		}
		if !slices.Contains(values, any(value)) || want == "CN" && len(values) > 1 {
			return false
		}
	}
	return true
}

func (s *Subject) parse(text string) error {
	s.text, s.attributes = text, nil
	if text == "*" {
		return nil
	}
	s.attributes = map[string]string{}
	for _, part := range splitEscaped(text) {
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.ToUpper(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "S" {
			name = "ST"
		}
		if !ok || value == "" || !known(name) {
			return fmt.Errorf("%q is no subject such as %q; names are C, ST, L, STREET, POSTALCODE, O, OU, CN and SERIALNUMBER", text, "CN=release, O=Example")
		}
		if strings.HasPrefix(value, "#") {
			return fmt.Errorf("%q: values in hex are not taken", text)
		}
		if _, twice := s.attributes[name]; twice {
			return fmt.Errorf("%q names %s twice", text, name)
		}
		s.attributes[name] = unescape(value)
	}
	return nil
}

func known(name string) bool {
	for _, n := range attributeNames {
		if n == name {
			return true
		}
	}
	return false
}

// splitEscaped splits at commas and plus signs that no backslash stands before.
func splitEscaped(s string) []string {
	var parts []string
	begin := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ',', '+':
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
