package softpiv

import (
	"crypto"
	"encoding/hex"
	"sync"
)

// What a new card has, as from the factory.
const (
	PIN = "123456"
	PUK = "12345678"
	// ManagementKey is in hex.
	ManagementKey = "010203040506070801020304050607080102030405060708"

	tries = 3
)

// Algorithms of keys (SP 800-78-4, and Yubico's for Ed25519) and of the
// management key.
const (
	algP256    = 0x11
	algEd25519 = 0xe0
	alg3DES    = 0x03
	algAES128  = 0x08
	algAES192  = 0x0a
	algAES256  = 0x0c
)

// Config is what a card is made as.
type Config struct {
	Serial   uint32
	Firmware [3]byte // 5.7.1 if it is not set
	// Authority vouches for the card's keys; nil if the card cannot attest.
	Authority *Authority
	// Touch is called when a command waits for a touch, and returns whether there
	// was one; nil touches at once. It may block, and may call [Daemon.Pull].
	Touch func() bool
}

// Card is one card. Its methods may be called concurrently; commands are
// answered one after the other.
type Card struct {
	config Config

	mu      sync.Mutex
	objects map[string][]byte // by tag
	keys    map[byte]*slotKey
	pin     secret
	puk     secret
	manage  management
	attest  *attester
	session session
}

// slotKey is a key in a slot.
type slotKey struct {
	private    crypto.Signer
	algorithm  byte
	pin, touch byte
	generated  bool
}

// secret is a PIN or PUK.
type secret struct {
	value string
	tries int
}

// management is the management key.
type management struct {
	algorithm byte
	key       []byte
}

// session is what a reset forgets.
type session struct {
	selected bool
	pin      bool // verified
	fresh    bool // and nothing was signed since
	managed  bool
	touched  bool // within what counts for a cached touch
	witness  []byte
	chain    []byte // of a command that comes in parts
	rest     []byte // of an answer that goes in parts
}

// New makes a card as from the factory.
func New(c Config) (*Card, error) {
	if c.Firmware == [3]byte{} {
		c.Firmware = [3]byte{5, 7, 1}
	}
	card := &Card{
		config: c, objects: map[string][]byte{}, keys: map[byte]*slotKey{},
		pin: secret{PIN, tries}, puk: secret{PUK, tries},
	}
	var err error
	if card.manage.key, err = hex.DecodeString(ManagementKey); err != nil {
		return nil, err
	}
	card.manage.algorithm = alg3DES
	if card.since(7) {
		card.manage.algorithm = algAES192
	}
	if c.Authority == nil {
		return card, nil
	}
	if card.attest, err = c.Authority.token(); err != nil {
		return nil, err
	}
	card.objects[tagAttestation] = certificateObject(card.attest.certificate.Raw)
	return card, nil
}

// since reports whether the firmware is 5.minor or later.
func (c *Card) since(minor byte) bool {
	return c.config.Firmware[0] > 5 || c.config.Firmware[0] == 5 && c.config.Firmware[1] >= minor
}

// Tries returns how many tries of the PIN are left.
func (c *Card) Tries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pin.tries
}

// Verified reports whether the PIN is verified at this moment.
func (c *Card) Verified() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.pin
}

// reset ends everything that a session had, as losing power does.
func (c *Card) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session{}
}
