package notation

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/trust/codesign"
)

// Names of the Notary Project (signature-specification.md, "Storage" and
// "Payload").
const (
	ArtifactType         = "application/vnd.cncf.notary.signature"
	MediaTypeJWS         = "application/jose+json"
	MediaTypeCOSE        = "application/cose" // known, and refused
	PayloadType          = "application/vnd.cncf.notary.payload.v1+json"
	AnnotationThumbprint = "io.cncf.notary.x509chain.thumbprint#S256"
)

// MaxEnvelope is the size up to which envelopes are read, in bytes.
const MaxEnvelope = 1 << 20

const (
	schemeX509      = "notary.x509"
	headerScheme    = "io.cncf.notary.signingScheme"
	headerExpiry    = "io.cncf.notary.expiry"
	headerTime      = "io.cncf.notary.signingTime"
	headerAuthentic = "io.cncf.notary.authenticSigningTime"
	agent           = "plimsoll"
)

// envelope is a JWS in flattened JSON (RFC 7515, section 7.2.2). Payload,
// Protected and Signature are base64url without padding.
type envelope struct {
	Payload   string      `json:"payload"`
	Protected string      `json:"protected"`
	Header    unprotected `json:"header"`
	Signature string      `json:"signature"`
}

type unprotected struct {
	Chain     [][]byte `json:"x5c"` // DER, leaf first
	Agent     string   `json:"io.cncf.notary.signingAgent,omitempty"`
	Timestamp []byte   `json:"io.cncf.notary.timestampSignature,omitempty"`
}

// protected are the headers that are signed.
type protected struct {
	Algorithm   string     `json:"alg"`
	ContentType string     `json:"cty"`
	Critical    []string   `json:"crit"`
	Scheme      string     `json:"io.cncf.notary.signingScheme"`
	Time        *time.Time `json:"io.cncf.notary.signingTime,omitempty"`
	Expiry      *time.Time `json:"io.cncf.notary.expiry,omitempty"`
	Authentic   *time.Time `json:"io.cncf.notary.authenticSigningTime,omitempty"`
}

type payload struct {
	Target target `json:"targetArtifact"`
}

// target is the part of a descriptor that is signed.
type target struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func targetOf(d v1.Descriptor) target {
	return target{MediaType: d.MediaType, Digest: string(d.Digest), Size: d.Size}
}

// Annotations returns what the manifest of a signature by that chain carries.
func Annotations(chain []*x509.Certificate, at time.Time) (map[string]string, error) {
	var prints []string
	for _, c := range chain {
		sum := codesign.Thumbprint(c)
		prints = append(prints, hex.EncodeToString(sum[:]))
	}
	b, err := json.Marshal(prints)
	if err != nil {
		return nil, err
	}
	return map[string]string{AnnotationThumbprint: string(b), v1.AnnotationCreated: at.UTC().Format(time.RFC3339)}, nil
}
