package piv

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" // #nosec G502 -- what tokens before firmware 5.7 have
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"

	"plimsoll/internal/fault"
)

// Algorithms of the management key (SP 800-78-4, table 6-2).
const (
	algorithm3DES   = 0x03
	algorithmAES128 = 0x08
	algorithmAES192 = 0x0a
	algorithmAES256 = 0x0c
)

var keySizes = map[byte]int{algorithm3DES: 24, algorithmAES128: 16, algorithmAES192: 24, algorithmAES256: 32} // bytes

// factoryKey is the management key of a new token.
const factoryKey = "010203040506070801020304050607080102030405060708"

// Data objects in which Yubico's tools keep how the management key is guarded,
// and the key itself, which the PIN opens.
var (
	adminData = []byte{0x5f, 0xff, 0x00}
	printed   = []byte{0x5f, 0xc1, 0x09}
)

// managerKey is what is known about the management key.
type managerKey struct {
	algorithm byte
	factory   bool // it is the factory's, as far as the token tells
	protected bool // it lies in the token, behind the PIN
}

// management asks how the management key is guarded. Within do.
func (t *token) management(ctx context.Context) (m managerKey, err error) {
	m = managerKey{algorithm: algorithm3DES, factory: true}
	if t.version.describesKeys() {
		b, err := t.link.send(ctx, command{ins: insMetadata, p2: manager})
		if err != nil {
			return m, err
		}
		algorithm, err := find(b, metaAlgorithm)
		if err != nil || len(algorithm) != 1 || keySizes[algorithm[0]] == 0 {
			return m, fault.Errorf(fault.Unavailable, "a management key of an unknown kind: %x", cut(b))
		}
		factory, err := find(b, metaFactory)
		m.algorithm, m.factory = algorithm[0], err == nil && bytes.Equal(factory, []byte{1})
	}
	admin, err := t.link.object(ctx, adminData)
	if fault.Is(err, fault.NotFound) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	const tagObject, tagAdmin, tagFlags, flagProtected = 0x53, 0x80, 0x81, 0x02
	flags, err := find(admin, tagObject, tagAdmin, tagFlags)
	m.protected = err == nil && len(flags) == 1 && flags[0]&flagProtected != 0
	return m, nil
}

// protectedKey returns the management key that lies behind the PIN, which is
// verified. Within do.
func (t *token) protectedKey(ctx context.Context) ([]byte, error) {
	const tagObject, tagProtected, tagKey = 0x53, 0x88, 0x89
	b, err := t.link.object(ctx, printed)
	if err == nil {
		b, err = find(b, tagObject, tagProtected, tagKey)
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read the management key that the PIN guards: %w", err))
	}
	return bytes.Clone(b), nil
}

// managementKey returns the key to use where the token does not keep it: the
// configured one, the factory's, or one that a person types. Outside of do.
func (t *token) managementKey(ctx context.Context, m managerKey) ([]byte, error) {
	const hint = "set PLIMSOLL_PIV_MANAGEMENT_KEY to it in hex, or keep it in the token behind the PIN: ykman piv access change-management-key --protect"
	text := []byte(t.provider.config.ManagementKey)
	if len(text) == 0 && m.factory {
		text = []byte(factoryKey)
	}
	if len(text) == 0 {
		prompt := fmt.Sprintf("management key of %s, in hex", t)
		if t.provider.config.Prompter == nil {
			return nil, fault.Hint(fault.Errorf(fault.Unavailable, "%s: nobody to ask", prompt), hint)
		}
		var err error
		if text, err = t.provider.config.Prompter.Secret(ctx, prompt); err != nil {
			return nil, fault.Hint(err, hint)
		}
	}
	defer clear(text)
	k := make([]byte, hex.DecodedLen(len(text)))
	if n, err := hex.Decode(k, text); err != nil || n != keySizes[m.algorithm] {
		return nil, fault.Errorf(fault.Unavailable, "the management key of %s has %d hexadecimal digits; what was given has not: it was not tried", t, 2*keySizes[m.algorithm])
	}
	return k, nil
}

// manage proves to the token that the management key is known, and has the token
// prove it as well (SP 800-73-4, part 2, appendix A.1). Within do.
func (t *token) manage(ctx context.Context, m managerKey, secret []byte) error {
	block, err := cipherOf(m.algorithm, secret)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "management key: %w", err)
	}
	size := block.BlockSize()
	sealed, err := t.authenticate(ctx, m.algorithm, tagWitness, appendField(nil, tagWitness))
	if err != nil {
		return err
	}
	if len(sealed) != size {
		return fault.Errorf(fault.Unavailable, "a witness of %d bytes, not %d", len(sealed), size)
	}
	witness, challenge, expected := make([]byte, size), make([]byte, size), make([]byte, size)
	block.Decrypt(witness, sealed)
	_, _ = rand.Read(challenge) // never fails: it ends the program instead
	block.Encrypt(expected, challenge)
	answer, err := t.authenticate(ctx, m.algorithm, tagResponse, appendField(appendField(nil, tagWitness, witness...), tagChallenge, challenge...))
	if isStatus(err, statusUnsatisfied, statusData) {
		err := fault.Errorf(fault.Unavailable, "it is not the token's management key: %w", err)
		return fault.Hint(err, "set PLIMSOLL_PIV_MANAGEMENT_KEY to the right one, in hex; wrong ones are not counted")
	}
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(answer, expected) != 1 {
		return fault.Errorf(fault.Unavailable, "the token does not know its management key")
	}
	t.managed = true
	return nil
}

func (t *token) authenticate(ctx context.Context, algorithm byte, want uint16, template []byte) ([]byte, error) {
	reply, err := t.link.send(ctx, command{
		ins: insAuthenticate, p1: algorithm, p2: manager, data: appendField(nil, tagAuthenticate, template...),
	})
	if err != nil {
		return nil, err
	}
	return find(reply, tagAuthenticate, want)
}

func cipherOf(algorithm byte, secret []byte) (cipher.Block, error) {
	if algorithm == algorithm3DES {
		return des.NewTripleDESCipher(secret) // #nosec G405 -- see above
	}
	return aes.NewCipher(secret)
}
