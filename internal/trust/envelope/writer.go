package envelope

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/notation"
	"plimsoll/internal/trust/sigstore"
)

// Writer signs images in other formats than TUF.
type Writer struct {
	Registry *oci.Client
	// Chain returns the certificates that stand for the signer's key, leaf
	// first. It is asked for notation only.
	Chain func(ctx context.Context, signer key.Signer) ([]*x509.Certificate, error)
	Now   time.Time
}

// Check returns the error that signing with that key in those formats would
// end with, without signing anything: a format that this program does not know,
// or a key that the format does not take.
func (w *Writer) Check(ctx context.Context, signer key.Signer, formats []string) error {
	for _, f := range formats {
		switch f {
		case Sigstore:
		case Notation:
			chain, err := w.Chain(ctx, signer)
			if err != nil {
				return err
			}
			if err := notation.Usable(signer, chain); err != nil {
				return err
			}
		default:
			return fault.Errorf(fault.Unavailable, "the repository's images are signed in the format %q as well, which this version does not write", f)
		}
	}
	return nil
}

// Sign signs every manifest of m, the index included, in the given formats with
// signer's key, and puts the signatures beside the image. What that key has
// signed already is left as it is. It returns how many signatures it made.
func (w *Writer) Sign(ctx context.Context, gun ref.GUN, signer key.Signer, formats []string, m *trust.Image) (made int, err error) {
	if err := w.Check(ctx, signer, formats); err != nil {
		return 0, err
	}
	for _, d := range manifests(m) {
		subject, err := w.Registry.Manifest(ctx, gun.Reference().WithDigest(d))
		if err != nil {
			return made, err
		}
		for _, f := range formats {
			n, err := w.signOne(ctx, gun, signer, f, subject.Descriptor)
			if made += n; err != nil {
				return made, fmt.Errorf("sign %s for %s: %w", d, f, err)
			}
		}
	}
	return made, nil
}

// signOne returns 1 if it signed, 0 if that was done before.
func (w *Writer) signOne(ctx context.Context, gun ref.GUN, signer key.Signer, format string, subject v1.Descriptor) (int, error) {
	a, there, err := oci.Artifact{}, false, error(nil)
	if format == Sigstore {
		a, there, err = w.bundle(ctx, gun, signer, subject)
	} else {
		a, there, err = w.notation(ctx, gun, signer, subject)
	}
	if err != nil || there {
		return 0, err
	}
	_, err = w.Registry.PushArtifact(ctx, gun, a)
	return 1, err
}

// bundle makes the bundle unless there is one.
func (w *Writer) bundle(ctx context.Context, gun ref.GUN, signer key.Signer, subject v1.Descriptor) (a oci.Artifact, there bool, err error) {
	r := Reader{Registry: w.Registry, Now: w.Now}
	_, err = r.bundle(ctx, gun, subject, sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}, Now: w.Now})
	if there = err == nil; there || !absent(err) {
		return a, there, err
	}
	b, err := sigstore.Sign(ctx, signer, subject.Digest)
	return bundleArtifact(subject, sigstore.SignPredicate, b, w.Now), false, err
}

// bundleArtifact returns the bundle b about subject as cosign stores it.
func bundleArtifact(subject v1.Descriptor, predicateType string, b []byte, now time.Time) oci.Artifact {
	return oci.Artifact{
		Type: sigstore.ArtifactType, MediaType: sigstore.ArtifactType, Subject: subject, Content: b,
		Annotations: map[string]string{
			v1.AnnotationCreated:             now.UTC().Format(time.RFC3339),
			sigstore.AnnotationContent:       sigstore.ContentDSSE,
			sigstore.AnnotationPredicateType: predicateType,
		},
	}
}

// notation makes the envelope unless there is one by the same certificate.
func (w *Writer) notation(ctx context.Context, gun ref.GUN, signer key.Signer, subject v1.Descriptor) (a oci.Artifact, there bool, err error) {
	chain, err := w.Chain(ctx, signer)
	if err != nil {
		return a, false, err
	}
	r := Reader{Registry: w.Registry, Now: w.Now}
	own := codesign.Authorities{Roots: chain[:1], Subject: func(pkix.Name) bool { return true }}
	_, err = r.Notation(ctx, gun, subject, own)
	if there = err == nil; there || !absent(err) {
		return a, there, err
	}
	b, err := notation.Sign(ctx, signer, chain, subject, w.Now)
	if err != nil {
		return a, false, err
	}
	annotations, err := notation.Annotations(chain, w.Now)
	return oci.Artifact{
		Type: notation.ArtifactType, ConfigType: notation.ArtifactType, MediaType: notation.MediaTypeJWS,
		Subject: subject, Content: b, Annotations: annotations,
	}, false, err
}

// absent reports whether an error means that there is no signature by a key,
// whatever else there is.
func absent(err error) bool {
	var s *Search
	return asSearch(err, &s) && !s.cut
}
