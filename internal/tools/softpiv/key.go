package softpiv

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
)

// Values of PIN and touch policies.
const (
	pinNever, pinOnce, pinAlways       = 1, 2, 3
	touchNever, touchAlways, touchCach = 1, 2, 3
)

// point is the public key as commands carry it.
func (k *slotKey) point() []byte {
	switch pub := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		b, err := pub.Bytes()
		if err != nil {
			return nil
		}
		return tlv("\x86", b...)
	case ed25519.PublicKey:
		return tlv("\x86", pub...)
	}
	return nil
}

// policies reads what a command says, or a slot's defaults.
func (k *slotKey) policies(slot byte, f map[byte][]byte) bool {
	k.pin, k.touch = pinOnce, touchNever
	if slot == 0x9c {
		k.pin = pinAlways
	}
	if slot == 0x9e {
		k.pin = pinNever
	}
	if v := f[0xaa]; len(v) == 1 && v[0] != 0 {
		k.pin = v[0]
	}
	if v := f[0xab]; len(v) == 1 && v[0] != 0 {
		k.touch = v[0]
	}
	return k.pin <= pinAlways && k.touch <= touchCach
}

func isSlot(s byte) bool {
	return s == 0x9a || s == 0x9c || s == 0x9d || s == 0x9e || s >= 0x82 && s <= 0x95
}

// generate answers GENERATE ASYMMETRIC KEY PAIR.
func (c *Card) generate(cmd command) ([]byte, uint16) {
	if !c.session.managed {
		return nil, swUnsatisfied
	}
	f := fields(fields(cmd.data)[0xac])
	k := &slotKey{generated: true}
	if len(f[0x80]) != 1 || !isSlot(cmd.p2) || !k.policies(cmd.p2, f) {
		return nil, swData
	}
	k.algorithm = f[0x80][0]
	var err error
	switch {
	case k.algorithm == algP256:
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case k.algorithm == algEd25519 && c.since(7):
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, swData
	}
	if err != nil {
		return nil, swData
	}
	c.keys[cmd.p2] = k
	return tlv("\x7f\x49", k.point()...), swOK
}

// importKey answers Yubico's IMPORT KEY.
func (c *Card) importKey(cmd command) ([]byte, uint16) {
	if !c.session.managed {
		return nil, swUnsatisfied
	}
	f := fields(cmd.data)
	k := &slotKey{algorithm: cmd.p1}
	if !isSlot(cmd.p2) || !k.policies(cmd.p2, f) || cmd.p1 != algP256 {
		return nil, swData
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), f[0x06])
	if err != nil {
		return nil, swData
	}
	k.private = private
	c.keys[cmd.p2] = k
	return nil, swOK
}
