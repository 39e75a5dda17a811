package sigstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// ArtifactType is the media type of the bundles that are written: artifact type
// of the referrer and media type of its layer.
const ArtifactType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// anyBundle is what the media types of all versions begin with.
const anyBundle = "application/vnd.dev.sigstore.bundle"

// Annotations of a bundle's manifest, as cosign writes them.
const (
	AnnotationContent       = "dev.sigstore.bundle.content"
	AnnotationPredicateType = "dev.sigstore.bundle.predicateType"
	ContentDSSE             = "dsse-envelope"
)

// Sizes up to which files are read, in bytes.
const (
	MaxSignature   = 1 << 20  // of a bundle that only signs
	MaxAttestation = 64 << 20 // of one that carries a predicate, such as an SBOM
)

// versions are the media types of bundles that are read.
var versions = map[string]bool{
	ArtifactType:                    true,
	anyBundle + "+json;version=0.1": true,
	anyBundle + "+json;version=0.2": true,
	anyBundle + "+json;version=0.3": true,
}

// IsBundle reports whether an artifact says that it is a bundle, of whatever
// version.
func IsBundle(artifactType string) bool { return strings.HasPrefix(artifactType, anyBundle) }

// bundle is a Sigstore bundle (sigstore/protobuf-specs, sigstore_bundle.proto) in
// its JSON form.
type bundle struct {
	MediaType            string          `json:"mediaType"`
	VerificationMaterial material        `json:"verificationMaterial"`
	Envelope             *envelope       `json:"dsseEnvelope,omitempty"`
	MessageSignature     json.RawMessage `json:"messageSignature,omitempty"`
}

// material says which key signed. Log entries and timestamps are not used: a
// key or an authority is believed as it is.
type material struct {
	PublicKey   *keyHint     `json:"publicKey,omitempty"`
	Certificate *certificate `json:"certificate,omitempty"`
	Chain       *struct {
		Certificates []certificate `json:"certificates"`
	} `json:"x509CertificateChain,omitempty"`
	Entries    []json.RawMessage `json:"tlogEntries,omitempty"`
	Timestamps json.RawMessage   `json:"timestampVerificationData,omitempty"`
}

type keyHint struct {
	Hint string `json:"hint"`
}

type certificate struct {
	RawBytes []byte `json:"rawBytes"`
}

// Sign returns a bundle in which signer's key says that it signed the image d,
// as cosign sign does. It costs one signature.
func Sign(ctx context.Context, signer key.Signer, d ref.Digest) ([]byte, error) {
	return Attest(ctx, signer, signStatement(d))
}

// Attest returns a bundle in which signer's key makes a statement. It costs one
// signature.
func Attest(ctx context.Context, signer key.Signer, s *Statement) ([]byte, error) {
	hint, err := Hint(signer)
	if err != nil {
		return nil, err
	}
	e, err := seal(ctx, signer, s)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(bundle{MediaType: ArtifactType, VerificationMaterial: material{PublicKey: &keyHint{hint}}, Envelope: e})
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "write bundle: %w", err)
	}
	if len(b) > MaxAttestation {
		return nil, fault.Errorf(fault.Invalid, "the statement makes a bundle of %d bytes: more than %d are not read", len(b), MaxAttestation)
	}
	return b, nil
}

// Hint returns what a bundle calls the signer's key: the SHA-256 of the DER
// SubjectPublicKeyInfo in base64, as cosign does. It helps to find a key and
// proves nothing.
func Hint(signer key.Signer) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return "", fault.As(fault.Invalid, err)
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// bundleFields are those that matter in a bundle.
var bundleFields = []string{
	"mediaType", "verificationMaterial", "dsseEnvelope", "messageSignature", "publicKey", "certificate", "certificates",
	"x509CertificateChain", "rawBytes", "hint", "payload", "payloadType", "signatures", "sig",
}

// parseBundle reads a bundle. One of a version that this program does not know is
// Unavailable: it may be good, and nobody here can tell.
func parseBundle(b []byte) (*bundle, error) {
	if len(b) > MaxAttestation {
		return nil, fault.Errorf(fault.Untrusted, "a bundle of %d bytes", len(b))
	}
	var version struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return nil, fault.Errorf(fault.Untrusted, "parse bundle: %w", err)
	}
	if !versions[version.MediaType] {
		return nil, fault.Errorf(fault.Unavailable, "a bundle of the version %q, which this program cannot read", cut(version.MediaType))
	}
	if err := oci.CheckFields(b, bundleFields...); err != nil {
		return nil, fault.Errorf(fault.Untrusted, "parse bundle: %w", err)
	}
	var parsed bundle
	if err := json.Unmarshal(b, &parsed); err != nil {
		return nil, fault.Errorf(fault.Untrusted, "parse bundle: %w", err)
	}
	if len(bytes.TrimSpace(parsed.MessageSignature)) > 0 || parsed.Envelope == nil {
		return nil, fault.Errorf(fault.Untrusted, "the bundle holds no statement about an image")
	}
	return &parsed, parsed.Envelope.check()
}
