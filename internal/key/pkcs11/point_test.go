//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"testing"

	"plimsoll/internal/fault"
)

func TestParsePoint(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrap := func(b []byte) []byte {
		der, err := asn1.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	off := bytes.Clone(raw)
	off[64] ^= 1
	compressed := append([]byte{2}, raw[1:33]...)
	p384 := []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}
	tests := []struct {
		name          string
		params, point []byte
		ok            bool
	}{
		{"P-256", paramsP256, wrap(raw), true},
		{"P-256, bare", paramsP256, raw, true},
		{"P-256, off the curve", paramsP256, wrap(off), false},
		{"P-256, compressed", paramsP256, wrap(compressed), false},
		{"P-256, trailing byte", paramsP256, append(wrap(raw), 0), false},
		{"P-256, empty", paramsP256, nil, false},
		{"Ed25519", paramsEd25519, wrap(ed), true},
		{"Ed25519 by name", paramsEd25519Name, wrap(ed), true},
		{"Ed25519, bare", paramsEd25519, ed, true},
		{"Ed25519, short", paramsEd25519, ed[:31], false},
		{"P-384", p384, wrap(raw), false},
		{"no curve", nil, wrap(raw), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pub, err := parsePoint(tt.params, tt.point)
			if (err == nil) != tt.ok || (err != nil && !fault.Is(err, fault.Invalid)) {
				t.Errorf("parsePoint: %v, %v", pub, err)
			}
		})
	}
}

func TestDERSignature(t *testing.T) {
	high := bytes.Repeat([]byte{0xff}, 64)
	der, err := derSignature(high)
	if err != nil || len(der) != 2+2*(2+33) {
		t.Errorf("high bits set: %x, %v", der, err)
	}
	low := make([]byte, 64)
	low[31], low[63] = 1, 2
	der, err = derSignature(low)
	if err != nil || !bytes.Equal(der, []byte{0x30, 6, 2, 1, 1, 2, 1, 2}) {
		t.Errorf("leading zeros: %x, %v", der, err)
	}
	if _, err := derSignature(high[:63]); err == nil {
		t.Error("63 bytes were taken")
	}
}

func FuzzParsePoint(f *testing.F) {
	f.Add(paramsP256, bytes.Repeat([]byte{4}, 65))
	f.Add(paramsEd25519, bytes.Repeat([]byte{4}, 32))
	f.Fuzz(func(t *testing.T, params, point []byte) {
		if _, err := parsePoint(params, point); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}
