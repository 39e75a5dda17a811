package sigstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// Types of statements and predicates (in-toto attestation framework,
// spec/v1/statement.md, and the owners of the predicates).
const (
	StatementV1   = "https://in-toto.io/Statement/v1"
	StatementV01  = "https://in-toto.io/Statement/v0.1" // read only
	PayloadType   = "application/vnd.in-toto+json"
	SignPredicate = "https://sigstore.dev/cosign/sign/v1" // the empty predicate of cosign sign
)

// maxSubjects bounds the subjects of a statement.
const maxSubjects = 1000

// Statement says something, the predicate, about what its subjects name.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is an artifact by its digests, in hex by algorithm.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// NewStatement returns the statement of a type about the image d. The predicate
// must be a JSON object; it is carried as it is, but for white space. The predicate
// of cosign sign is refused: who states something does not mean to sign.
func NewStatement(name string, d ref.Digest, predicateType string, predicate []byte) (*Statement, error) {
	if err := checkPredicateType(predicateType); err != nil {
		return nil, err
	}
	if predicateType == SignPredicate {
		return nil, fault.Hint(fault.Errorf(fault.Invalid, "a statement of the type %q is a signature of the image", predicateType), "plimsoll sign signs images")
	}
	fields, err := topFields(predicate)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "predicate: %w", err)
	}
	if fields["_type"] != nil && fields["predicateType"] != nil {
		return nil, fault.Errorf(fault.Invalid, "this is a whole statement, not a predicate: take what stands in its field \"predicate\"")
	}
	return &Statement{
		Type:          StatementV1,
		Subject:       []Subject{{Name: name, Digest: map[string]string{d.Algorithm().String(): d.Encoded()}}},
		PredicateType: predicateType,
		Predicate:     predicate,
	}, nil
}

// signStatement is what cosign sign says of an image.
func signStatement(d ref.Digest) *Statement {
	return &Statement{
		Type:          StatementV1,
		Subject:       []Subject{{Digest: map[string]string{d.Algorithm().String(): d.Encoded()}}},
		PredicateType: SignPredicate,
		Predicate:     json.RawMessage("{}"),
	}
}

func checkPredicateType(t string) error {
	if u, err := url.Parse(t); err != nil || u.Scheme == "" || u.Opaque == "" && u.Host == "" || len(t) > 512 {
		return fault.Errorf(fault.Invalid, "predicate type %q is not a URI", t)
	}
	return nil
}

// Payload returns the bytes that are signed.
func (s *Statement) Payload() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the predicate is somebody's document
	if err := enc.Encode(s); err != nil {
		return nil, fault.Errorf(fault.Invalid, "statement: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// topFields returns the fields of a JSON object. One that stands twice is an
// error: two readers could take two values.
func topFields(b []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		if fields[name] != nil {
			return nil, fmt.Errorf("the field %q stands twice", cut(name))
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the document")
	}
	return fields, nil
}

// parseStatement reads a payload whose signature was verified.
func parseStatement(b []byte) (*Statement, error) {
	fields, err := topFields(b)
	if err != nil {
		return nil, fault.Errorf(fault.Untrusted, "statement: %w", err)
	}
	if err := oci.CheckFields(fields["subject"], "digest"); err != nil {
		return nil, fault.Errorf(fault.Untrusted, "statement: field \"subject\": %w", err)
	}
	s := Statement{Predicate: fields["predicate"]}
	for name, to := range map[string]any{"_type": &s.Type, "subject": &s.Subject, "predicateType": &s.PredicateType} {
		if err := json.Unmarshal(fields[name], to); err != nil {
			return nil, fault.Errorf(fault.Untrusted, "statement: field %q: %w", name, err)
		}
	}
	if s.Type != StatementV1 && s.Type != StatementV01 {
		return nil, fault.Errorf(fault.Untrusted, "a statement of type %q", s.Type)
	}
	if len(s.Subject) == 0 || len(s.Subject) > maxSubjects {
		return nil, fault.Errorf(fault.Untrusted, "a statement about %d subjects", len(s.Subject))
	}
	return &s, nil
}

// about returns nil if the statement is about d.
func (s *Statement) about(d ref.Digest) error {
	for _, one := range s.Subject {
		if one.Digest[d.Algorithm().String()] == d.Encoded() {
			return nil
		}
	}
	return fault.Errorf(fault.Untrusted, "the signature is about something else, %s", firstDigest(s.Subject[0]))
}

func firstDigest(s Subject) string {
	if hex, ok := s.Digest["sha256"]; ok {
		return fmt.Sprintf("%q", "sha256:"+cut(hex))
	}
	return fmt.Sprintf("%q", cut(s.Name))
}

func cut(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
