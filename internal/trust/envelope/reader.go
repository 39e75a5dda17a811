package envelope

import (
	"context"
	"errors"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/notation"
	"plimsoll/internal/trust/sigstore"
)

// Reader finds and checks signatures that lie beside an image.
type Reader struct {
	Registry *oci.Client
	Now      time.Time
}

// Signature is a signature that was checked.
type Signature struct {
	Signer  string    // the key's fingerprint, or the certificate's subject
	Key     string    // the fingerprint of the key that signed
	Expires time.Time // zero if the signature lasts for as long as its key is believed
}

// Cosign returns a signature of the image d by one of the anchors, as cosign
// makes them: a Sigstore bundle or, for keys, the older form under a tag.
// NotFound if there is none at all, Untrusted if none is good, Unavailable if
// one could not be looked at.
func (r *Reader) Cosign(ctx context.Context, gun ref.GUN, d v1.Descriptor, a sigstore.Anchors) (*Signature, error) {
	found, err := r.bundle(ctx, gun, d, a)
	if err == nil {
		return found, nil
	}
	var bundles *search
	if !errors.As(err, &bundles) {
		return nil, err
	}
	found, problems, err := r.simple(ctx, gun, d.Digest, a)
	if found != nil || err != nil {
		return found, err
	}
	bundles.problems = append(bundles.problems, problems...)
	return nil, bundles.result()
}

// bundle looks for a Sigstore bundle in which an anchor signs d.
func (r *Reader) bundle(ctx context.Context, gun ref.GUN, d v1.Descriptor, a sigstore.Anchors) (found *Signature, err error) {
	k := kindOf{"cosign signature", sigstore.IsBundle, ofOtherType(sigstore.SignPredicate), sigstore.MaxSignature}
	s, err := r.each(ctx, gun, d.Digest, k, func(_ *v1.Manifest, content []byte) (bool, error) {
		v, err := sigstore.Verify(content, d.Digest, sigstore.SignPredicate, a)
		if err == nil {
			found, err = signatureBy(v.Signer)
		}
		return found != nil, err
	})
	if found != nil || err != nil {
		return found, err
	}
	return nil, s.result()
}

// ofOtherType skips bundles whose annotations say that they carry another
// predicate: SBOMs need not be fetched to see who signed.
func ofOtherType(predicateType string) func(map[string]string) bool {
	return func(annotations map[string]string) bool {
		said := annotations[sigstore.AnnotationPredicateType]
		return said != "" && said != predicateType
	}
}

func signatureBy(s sigstore.Signer) (*Signature, error) {
	if s.Certificate != nil {
		print, err := codesign.Fingerprint(s.Certificate.PublicKey)
		return &Signature{Signer: s.Certificate.Subject.String(), Key: print, Expires: s.Certificate.NotAfter}, err
	}
	print, err := codesign.Fingerprint(s.Key)
	return &Signature{Signer: print, Key: print}, err
}

// simple looks for signatures in cosign's older form.
func (r *Reader) simple(ctx context.Context, gun ref.GUN, d ref.Digest, a sigstore.Anchors) (*Signature, []error, error) {
	m, err := r.Registry.Manifest(ctx, gun.Reference().WithTag(sigstore.SimpleTag(d)))
	if fault.Is(err, fault.NotFound) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, couldNot(err)
	}
	doc, err := oci.ParseDocument(m.MediaType, m.Bytes)
	if err == nil && doc.Manifest == nil {
		err = errors.New("an index")
	}
	if err != nil {
		return nil, []error{fault.Errorf(fault.Untrusted, "tag %s: %w", sigstore.SimpleTag(d), err)}, nil
	}
	var problems []error
	for i, layer := range doc.Manifest.Layers {
		if i == maxLooked {
			return nil, append(problems, fault.Errorf(fault.Unavailable, "there are more than %d", maxLooked)), nil
		}
		signer, err := r.simpleLayer(ctx, gun, layer, d, a)
		if err == nil {
			s, err := signatureBy(signer)
			return s, nil, err
		}
		problems = append(problems, err)
	}
	return nil, problems, nil
}

func (r *Reader) simpleLayer(ctx context.Context, gun ref.GUN, layer v1.Descriptor, d ref.Digest, a sigstore.Anchors) (sigstore.Signer, error) {
	payload, err := r.Registry.File(ctx, gun, layer, sigstore.MaxSimple)
	if err != nil {
		return sigstore.Signer{}, err
	}
	return sigstore.VerifySimple(layer, payload, d, a)
}

// Notation returns a signature of the image d by somebody whom the authorities
// vouch for. Its errors are those of [Reader.Cosign].
func (r *Reader) Notation(ctx context.Context, gun ref.GUN, d v1.Descriptor, a codesign.Authorities) (found *Signature, err error) {
	k := kindOf{"notation signature", func(t string) bool { return t == notation.ArtifactType }, nil, notation.MaxEnvelope}
	s, err := r.each(ctx, gun, d.Digest, k, func(m *v1.Manifest, content []byte) (bool, error) {
		v, err := notation.Verify(m.Layers[0].MediaType, content, d, a, r.Now)
		if err != nil {
			return false, err
		}
		print, err := codesign.Fingerprint(v.Signer.PublicKey)
		found = &Signature{Signer: v.Signer.Subject.String(), Key: print, Expires: v.Expires}
		return err == nil, err
	})
	if found != nil || err != nil {
		return found, err
	}
	return nil, s.result()
}
