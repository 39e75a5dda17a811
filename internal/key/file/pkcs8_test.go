package file

import (
	"crypto/aes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

func marshalled(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// container returns an EncryptedPrivateKeyInfo under the given parameters.
func container(t testing.TB, kdf asn1.ObjectIdentifier, params any, iv, ciphertext []byte) []byte {
	t.Helper()
	var k encryptedKey
	k.Algorithm.OID = oidPBES2
	k.Algorithm.Params.KDF = pkix.AlgorithmIdentifier{Algorithm: kdf, Parameters: asn1.RawValue{FullBytes: marshalled(t, params)}}
	k.Algorithm.Params.Cipher = pkix.AlgorithmIdentifier{Algorithm: oidAES256, Parameters: asn1.RawValue{FullBytes: marshalled(t, iv)}}
	k.Ciphertext = ciphertext
	return marshalled(t, k)
}

func TestHostileContainers(t *testing.T) {
	iv, blocks := make([]byte, aes.BlockSize), make([]byte, 10*aes.BlockSize)
	cheap := scryptParams{Salt: iv, N: 2, R: 1, P: 1}
	sha256 := pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}
	tests := []struct {
		name string
		der  []byte
		kind fault.Kind
		says string
	}{
		{"scrypt for weeks", container(t, oidScrypt, scryptParams{Salt: iv, N: 1 << 20, R: 1, P: 64}, iv, blocks), fault.Invalid, "more than is done"},
		{"scrypt in 1 TiB", container(t, oidScrypt, scryptParams{Salt: iv, N: 1 << 30, R: 8, P: 1}, iv, blocks), fault.Invalid, "more than is done"},
		{"scrypt, r overflows", container(t, oidScrypt, scryptParams{Salt: iv, N: 2, R: 1 << 62, P: 4}, iv, blocks), fault.Invalid, "more than is done"},
		{"scrypt, N not a power of two", container(t, oidScrypt, scryptParams{Salt: iv, N: 3, R: 1, P: 1}, iv, blocks), fault.Invalid, "malformed"},
		{"scrypt, negative", container(t, oidScrypt, scryptParams{Salt: iv, N: -2, R: 1, P: 1}, iv, blocks), fault.Invalid, "malformed"},
		{"PBKDF2 for days", container(t, oidPBKDF2, pbkdf2Params{Salt: iv, Iterations: 1 << 40, PRF: sha256}, iv, blocks), fault.Invalid, "iterations"},
		{"PBKDF2, none", container(t, oidPBKDF2, pbkdf2Params{Salt: iv, PRF: sha256}, iv, blocks), fault.Invalid, "malformed"},
		{"salt too long", container(t, oidScrypt, scryptParams{Salt: make([]byte, 2000), N: 2, R: 1, P: 1}, iv, blocks), fault.Invalid, "malformed"},
		{"short IV", container(t, oidScrypt, cheap, iv[:8], blocks), fault.Invalid, "malformed"},
		{"no ciphertext", container(t, oidScrypt, cheap, iv, nil), fault.Invalid, "0 bytes"},
		{"half a block", container(t, oidScrypt, cheap, iv, blocks[:24]), fault.Invalid, "24 bytes"},
		{"long ciphertext", container(t, oidScrypt, cheap, iv, make([]byte, 8<<10)), fault.Invalid, "8192 bytes"},
		{"random content", container(t, oidScrypt, cheap, iv, blocks), fault.Unavailable, "passphrase is wrong"},
		{"something follows", append(container(t, oidScrypt, cheap, iv, blocks), 0), fault.Invalid, "not a PKCS#8 key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decrypt(tt.der, []byte("x"))
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("decrypt: %v (%v)", err, fault.KindOf(err))
			}
		})
	}
}

func TestRightPassphraseAroundAnotherKind(t *testing.T) {
	secret, err := scryptParams{N: 2, R: 1, P: 1}.derive([]byte("x"), keyAES256)
	if err != nil {
		t.Fatal(err)
	}
	id, ciphertext, err := sealCBC(secret, []byte("not a key"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseCBC(id, ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := c.open(secret)
	if err != nil || string(plain) != "not a key" {
		t.Fatalf("open: %q, %v", plain, err)
	}
	if _, err := parsePrivate(plain); !fault.Is(err, fault.Unavailable) {
		t.Errorf("parsePrivate: %v", err)
	}
}

func FuzzDecrypt(f *testing.F) {
	private, err := generate(key.Ed25519)
	if err != nil {
		f.Fatal(err)
	}
	good, err := encrypt(private, []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	iv := make([]byte, aes.BlockSize)
	f.Add(good)
	f.Add(container(f, oidScrypt, scryptParams{Salt: iv, N: 2, R: 1, P: 1}, iv, iv))
	f.Fuzz(func(t *testing.T, der []byte) {
		var k encryptedKey
		if only(der, &k) { // keep each try cheap: the caps are tested above
			var s scryptParams
			var p pbkdf2Params
			params := k.Algorithm.Params.KDF.Parameters.FullBytes
			if only(params, &s) && s.N*s.R*s.P > 1<<12 || only(params, &p) && p.Iterations > 1<<12 {
				t.Skip()
			}
		}
		_, err := decrypt(der, []byte("y"))
		if kind := fault.KindOf(err); err != nil && kind != fault.Invalid && kind != fault.Unavailable {
			t.Fatalf("kind %v: %v", kind, err)
		}
	})
}

func BenchmarkDecrypt(b *testing.B) {
	private, err := generate(key.ECDSAP256)
	if err != nil {
		b.Fatal(err)
	}
	der, err := encrypt(private, []byte("x"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := decrypt(der, []byte("x")); err != nil {
			b.Fatal(err)
		}
	}
}
