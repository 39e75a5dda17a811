package notation

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/trust/codesign"
)

// Verified is what an envelope says, after its signature was checked.
type Verified struct {
	Signer  *x509.Certificate
	Signed  time.Time // by the signer's clock; nobody vouches for it
	Expires time.Time // the sooner of the certificate's end and the signature's
}

// Verify checks the envelope b: signed by somebody whom the authorities vouch
// for at now, about the descriptor d, and not expired. Untrusted if not,
// Unavailable if it is one that this program cannot read.
func Verify(mediaType string, b []byte, d v1.Descriptor, a codesign.Authorities, now time.Time) (*Verified, error) {
	if mediaType == MediaTypeCOSE {
		return nil, fault.Errorf(fault.Unavailable, "a notation signature in COSE, which this program cannot read (JWS is notation's default)")
	}
	e, p, err := parseEnvelope(mediaType, b)
	if err != nil {
		return nil, err
	}
	chain, err := codesign.Parse(e.Header.Chain)
	if err != nil {
		return nil, fault.As(fault.Untrusted, err)
	}
	if err := checkSignature(chain[0].PublicKey, p.Algorithm, e); err != nil {
		return nil, err
	}
	if err := a.Check(chain, now); err != nil {
		return nil, err
	}
	v := &Verified{Signer: chain[0], Expires: chain[0].NotAfter}
	if err := v.times(p, now); err != nil {
		return nil, err
	}
	return v, e.about(d)
}

// times checks what the protected headers say about time.
func (v *Verified) times(p *protected, now time.Time) error {
	if p.Time == nil {
		return fault.Errorf(fault.Untrusted, "the signature does not say when it was made")
	}
	if v.Signed = *p.Time; v.Signed.Before(v.Signer.NotBefore) || v.Signed.After(v.Signer.NotAfter) {
		return fault.Errorf(fault.Untrusted, "signed at %s, when its certificate was not valid", v.Signed.UTC().Format(time.RFC3339))
	}
	if p.Expiry == nil {
		return nil
	}
	if !now.Before(*p.Expiry) {
		return fault.Errorf(fault.Untrusted, "the signature expired at %s", p.Expiry.UTC().Format(time.RFC3339))
	}
	if p.Expiry.Before(v.Expires) {
		v.Expires = *p.Expiry
	}
	return nil
}

// parseEnvelope reads an envelope and its protected headers.
func parseEnvelope(mediaType string, b []byte) (*envelope, *protected, error) {
	if mediaType != MediaTypeJWS || len(b) > MaxEnvelope {
		return nil, nil, fault.Errorf(fault.Untrusted, "a %q of %d bytes is no notation signature", cut(mediaType), len(b))
	}
	var e envelope
	if err := strict(b, &e, "payload", "protected", "header", "signature", "signatures", "x5c"); err != nil {
		return nil, nil, fault.Errorf(fault.Untrusted, "notation envelope: %w", err)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(e.Protected)
	if err != nil {
		return nil, nil, fault.Errorf(fault.Untrusted, "notation envelope: protected headers: %w", err)
	}
	var p protected
	if err := strict(raw, &p, "alg", "cty", "crit", "b64", headerScheme, headerTime, headerExpiry, headerAuthentic); err != nil {
		return nil, nil, fault.Errorf(fault.Untrusted, "notation envelope: protected headers: %w", err)
	}
	return &e, &p, p.check()
}

// check refuses headers that this program does not understand.
func (p *protected) check() error {
	for _, name := range p.Critical {
		if name != headerScheme && name != headerExpiry {
			return fault.Errorf(fault.Unavailable, "the signature demands that its reader understands %q, which this program does not", cut(name))
		}
	}
	switch {
	case p.ContentType != PayloadType:
		return fault.Errorf(fault.Untrusted, "the signature is over a %q", cut(p.ContentType))
	case p.Scheme != schemeX509 || p.Authentic != nil:
		return fault.Errorf(fault.Unavailable, "the signature uses the scheme %q; this program knows %s", cut(p.Scheme), schemeX509)
	case !slices.Contains(p.Critical, headerScheme), p.Expiry != nil && !slices.Contains(p.Critical, headerExpiry):
		return fault.Errorf(fault.Untrusted, "the signature does not mark as critical what is")
	}
	return nil
}

// about refuses an envelope that signs another descriptor than d.
func (e *envelope) about(d v1.Descriptor) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return fault.Errorf(fault.Untrusted, "notation envelope: payload: %w", err)
	}
	var p payload
	if err := strict(raw, &p, "targetArtifact", "mediaType", "digest", "size"); err != nil {
		return fault.Errorf(fault.Untrusted, "notation envelope: payload: %w", err)
	}
	if t := targetOf(d); p.Target.Digest != t.Digest || p.Target.MediaType != t.MediaType || p.Target.Size != t.Size {
		return fault.Errorf(fault.Untrusted, "the signature is about something else, a %q with digest %q", cut(p.Target.MediaType), cut(p.Target.Digest))
	}
	return nil
}

// strict decodes b, in which no field may stand twice and the named ones must be
// spelled as they are.
func strict(b []byte, v any, fields ...string) error {
	if err := oci.CheckFields(b, fields...); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func cut(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
