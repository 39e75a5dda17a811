package notation

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/trust/codesign"
)

// Sign returns an envelope in which signer's key, certified by chain, signs the
// descriptor d at now. It costs one signature. Invalid if the chain is not the
// key's, or not one that readers take; keys are P-256.
func Sign(ctx context.Context, signer key.Signer, chain []*x509.Certificate, d v1.Descriptor, now time.Time) ([]byte, error) {
	if err := Usable(signer, chain); err != nil {
		return nil, err
	}
	at := now.UTC().Truncate(time.Second)
	if leaf := chain[0]; at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
		return nil, fault.Errorf(fault.Invalid, "certificate %q is valid from %s to %s only", leaf.Subject,
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	e := envelope{Header: unprotected{Agent: agent}}
	var err error
	if e.Payload, err = part(payload{targetOf(d)}); err != nil {
		return nil, err
	}
	e.Protected, err = part(protected{Algorithm: "ES256", ContentType: PayloadType, Critical: []string{headerScheme}, Scheme: schemeX509, Time: &at})
	if err != nil {
		return nil, err
	}
	for _, c := range chain {
		e.Header.Chain = append(e.Header.Chain, c.Raw)
	}
	message := []byte(e.Protected + "." + e.Payload)
	sig, err := signer.Sign(ctx, message)
	if err != nil {
		return nil, err
	}
	if err := key.Verify(signer.Public(), message, sig); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("what the key signed does not verify: %w", err))
	}
	raw, err := rawSignature(sig)
	if err != nil {
		return nil, err
	}
	e.Signature = base64.RawURLEncoding.EncodeToString(raw)
	return json.Marshal(e)
}

// Usable returns an Invalid error, with a hint, unless signer's key makes
// signatures that notation reads and chain certifies it.
func Usable(signer key.Signer, chain []*x509.Certificate) error {
	pub, ok := signer.Public().(*ecdsa.PublicKey)
	switch {
	case !ok || pub.Curve != elliptic.P256():
		err := fault.Errorf(fault.Invalid, "the Notary Project knows no Ed25519 signatures")
		return fault.Hint(err, "sign with a P-256 key, or leave notation out: plimsoll trust formats GUN sigstore")
	case len(chain) == 0 || len(chain) > codesign.MaxChain:
		return fault.Errorf(fault.Invalid, "a chain of %d certificates", len(chain))
	case !codesign.Certifies(chain[0], pub):
		return fault.Errorf(fault.Invalid, "certificate %q is not for this key", chain[0].Subject)
	}
	return codesign.Ordered(chain)
}

// part returns v as one part of a JWS.
func part(v any) (string, error) {
	b, err := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// size is the length of a coordinate on P-256, in bytes.
const size = 32

// rawSignature returns an ECDSA-Sig-Value as JWS wants it: r and s in 32 bytes
// each (RFC 7518, section 3.4).
func rawSignature(der []byte) ([]byte, error) {
	var v struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &v)
	if err != nil || len(rest) > 0 || v.R.Sign() <= 0 || v.S.Sign() <= 0 || v.R.BitLen() > 8*size || v.S.BitLen() > 8*size {
		return nil, fault.Errorf(fault.Unavailable, "the key made something that is no ECDSA signature on P-256")
	}
	raw := make([]byte, 2*size)
	v.R.FillBytes(raw[:size])
	v.S.FillBytes(raw[size:])
	return raw, nil
}
