package sigstore

import (
	"encoding/base64"
	"encoding/json"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// Names of cosign's older form (cosign, specs/SIGNATURE_SPEC.md): a manifest
// under the tag sha256-<hex>.sig with one layer for each signature.
const (
	SimpleType      = "application/vnd.dev.cosign.simplesigning.v1+json"
	AnnotationSig   = "dev.cosignproject.cosign/signature"
	annotationCert  = "dev.sigstore.cosign/certificate"
	simpleStatement = "cosign container image signature"
	// MaxSimple is the size up to which a payload is read, in bytes.
	MaxSimple = 64 << 10
)

// SimpleTag returns the tag under which signatures of d are kept.
func SimpleTag(d ref.Digest) string { return d.Algorithm().String() + "-" + d.Encoded() + ".sig" }

// VerifySimple checks the payload of a simple-signing layer against its
// annotations: signed by one of the keys of a, and about d. Certificates in
// that form are refused.
func VerifySimple(layer v1.Descriptor, payload []byte, d ref.Digest, a Anchors) (Signer, error) {
	if layer.MediaType != SimpleType || len(payload) > MaxSimple {
		return Signer{}, fault.Errorf(fault.Untrusted, "a %q of %d bytes is no simple signature", cut(layer.MediaType), len(payload))
	}
	if layer.Annotations[annotationCert] != "" && len(a.Keys) == 0 {
		return Signer{}, fault.Errorf(fault.Untrusted, "signed with a certificate in cosign's older form, of which keys are taken only")
	}
	sig, err := base64.StdEncoding.DecodeString(layer.Annotations[AnnotationSig])
	if err != nil || len(sig) == 0 {
		return Signer{}, fault.Errorf(fault.Untrusted, "the layer carries no signature in base64")
	}
	s, err := a.byKey(payload, sig)
	if err != nil {
		return Signer{}, err
	}
	return s, simpleAbout(payload, d)
}

func simpleAbout(payload []byte, d ref.Digest) error {
	if err := oci.CheckFields(payload, "critical", "image", "docker-manifest-digest", "type"); err != nil {
		return fault.Errorf(fault.Untrusted, "simple signature: %w", err)
	}
	var p struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
			Type string `json:"type"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return fault.Errorf(fault.Untrusted, "simple signature: %w", err)
	}
	switch {
	case p.Critical.Type != simpleStatement:
		return fault.Errorf(fault.Untrusted, "a simple signature of the type %q", cut(p.Critical.Type))
	case p.Critical.Image.Digest != string(d):
		return fault.Errorf(fault.Untrusted, "the signature is about something else, %q", cut(p.Critical.Image.Digest))
	}
	return nil
}
