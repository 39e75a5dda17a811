package softpiv

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" // #nosec G502 -- what cards before firmware 5.7 have
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
)

// authenticate answers GENERAL AUTHENTICATE: of the management key, or a
// signature.
func (c *Card) authenticate(cmd command) ([]byte, uint16) {
	f := fields(fields(cmd.data)[0x7c])
	if cmd.p2 == 0x9b {
		return c.authenticateManager(cmd.p1, f)
	}
	k := c.keys[cmd.p2]
	if k == nil || k.algorithm != cmd.p1 || len(f[0x81]) == 0 {
		return nil, swData
	}
	if k.pin == pinOnce && !c.session.pin || k.pin == pinAlways && !c.session.fresh {
		return nil, swUnsatisfied
	}
	if !c.touch(k) {
		return nil, swUnsatisfied
	}
	c.session.fresh = false
	sig, err := k.sign(f[0x81])
	if err != nil {
		return nil, swData
	}
	return tlv("\x7c", tlv("\x82", sig...)...), swOK
}

// touch waits for a touch if k wants one. The card's lock is not held meanwhile.
func (c *Card) touch(k *slotKey) bool {
	if k.touch == touchNever || k.touch == touchCach && c.session.touched || c.config.Touch == nil {
		return true
	}
	c.mu.Unlock()
	given := c.config.Touch()
	c.mu.Lock()
	c.session.touched = given
	return given
}

func (k *slotKey) sign(input []byte) ([]byte, error) {
	if private, ok := k.private.(*ecdsa.PrivateKey); ok {
		return ecdsa.SignASN1(rand.Reader, private, input)
	}
	return k.private.Sign(rand.Reader, input, crypto.Hash(0))
}

// authenticateManager answers both steps of mutual authentication (SP 800-73-4,
// part 2, appendix A).
func (c *Card) authenticateManager(algorithm byte, f map[byte][]byte) ([]byte, uint16) {
	if algorithm != c.manage.algorithm {
		return nil, swData
	}
	block, err := c.manage.cipher()
	if err != nil {
		return nil, swData
	}
	size := block.BlockSize()
	out := make([]byte, size)
	if v, ok := f[0x80]; ok && len(v) == 0 {
		c.session.witness = make([]byte, size)
		_, _ = rand.Read(c.session.witness) // never fails: it ends the program instead
		block.Encrypt(out, c.session.witness)
		return tlv("\x7c", tlv("\x80", out...)...), swOK
	}
	witness := c.session.witness
	c.session.witness = nil
	if witness == nil || !bytes.Equal(f[0x80], witness) || len(f[0x81]) != size {
		return nil, swUnsatisfied
	}
	c.session.managed = true
	block.Encrypt(out, f[0x81])
	return tlv("\x7c", tlv("\x82", out...)...), swOK
}

func (m management) cipher() (cipher.Block, error) {
	if m.algorithm == alg3DES {
		return des.NewTripleDESCipher(m.key) // #nosec G405 -- see above
	}
	return aes.NewCipher(m.key)
}

func (m management) factory() bool { return hex.EncodeToString(m.key) == ManagementKey }

// SetManagementKey gives the card a management key: 24 bytes of 3DES if des is
// set, otherwise 16, 24 or 32 of AES.
func (c *Card) SetManagementKey(key []byte, des bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manage.key = bytes.Clone(key)
	switch {
	case des:
		c.manage.algorithm = alg3DES
	case len(key) == 16:
		c.manage.algorithm = algAES128
	case len(key) == 24:
		c.manage.algorithm = algAES192
	default:
		c.manage.algorithm = algAES256
	}
}

// ProtectManagementKey puts the management key where only the PIN opens it, as
// Yubico's tools do.
func (c *Card) ProtectManagementKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects["\x5f\xff\x00"] = tlv("\x53", tlv("\x80", tlv("\x81", 2)...)...)
	c.objects[tagPrinted] = tlv("\x53", tlv("\x88", tlv("\x89", c.manage.key...)...)...)
}
