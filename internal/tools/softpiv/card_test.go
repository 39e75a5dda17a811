package softpiv

import (
	"bytes"
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"
)

// newCard makes a card whose PIV application is selected.
func newCard(t *testing.T, c Config) *Card {
	t.Helper()
	var err error
	if c.Authority, err = NewAuthority(); err != nil {
		t.Fatal(err)
	}
	card, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	send(t, card, "00a4040005a000000308", "9000")
	return card
}

// send gives the card an APDU in hex and returns its answer's data; the answer
// must end with the status word.
func send(t *testing.T, c *Card, apdu, status string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(apdu, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	answer := c.Transmit(b)
	if got := hex.EncodeToString(answer); !strings.HasSuffix(got, status) {
		t.Errorf("%s: answered %s, want …%s", apdu, got, status)
	}
	return answer[:len(answer)-2]
}

// manage authenticates with the factory's management key, which is AES-192.
func manage(t *testing.T, c *Card) {
	t.Helper()
	secret, err := hex.DecodeString(ManagementKey)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		t.Fatal(err)
	}
	sealed := send(t, c, "00870a9b 04 7c028000 00", "9000")[4:]
	witness := make([]byte, 16)
	block.Decrypt(witness, sealed)
	answer := send(t, c, "00870a9b 26 7c24 8010"+hex.EncodeToString(witness)+"8110"+strings.Repeat("07", 16)+"00", "9000")
	want := make([]byte, 16)
	block.Encrypt(want, bytes.Repeat([]byte{7}, 16))
	if !bytes.Equal(answer[4:], want) {
		t.Error("the card does not know its management key")
	}
}

const (
	rightPIN = "0020008008 313233343536ffff"
	wrongPIN = "0020008008 393939393939ffff"
)

func TestPINIsCounted(t *testing.T) {
	c := newCard(t, Config{})
	send(t, c, "00200080", "63c3")
	send(t, c, wrongPIN, "63c2")
	send(t, c, rightPIN, "9000")
	send(t, c, "00200080", "9000")
	if c.Tries() != 3 || !c.Verified() {
		t.Errorf("%d tries, verified %v", c.Tries(), c.Verified())
	}
	for _, status := range []string{"63c2", "63c1", "6983", "6983"} {
		send(t, c, wrongPIN, status)
	}
	send(t, c, rightPIN, "6983")
	send(t, c, "002c008010 3132333435363738 363534333231ffff", "9000")
	send(t, c, "0020008008 363534333231ffff", "9000")
	send(t, c, "0024008010 363534333231ffff 313233343536ffff", "9000")
	send(t, c, rightPIN, "9000")
	c.reset()
	if c.Verified() {
		t.Error("a reset left the PIN verified")
	}
	send(t, c, "00200080", "6d00") // nothing is selected
}

// TestSignAndAttest makes a key with a PIN and a touch for every signature.
func TestSignAndAttest(t *testing.T) {
	touched := false
	c := newCard(t, Config{Serial: 7, Touch: func() bool { return touched }})
	send(t, c, "0047009c 0b ac09 800111 aa0103 ab0102", "6982")
	manage(t, c)
	point := send(t, c, "0047009c 0b ac09 800111 aa0103 ab0102", "9000")[5:]
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("m"))
	sign := "0087119c 26 7c24 8200 8120" + hex.EncodeToString(sum[:])
	send(t, c, sign, "6982") // no PIN
	send(t, c, rightPIN, "9000")
	send(t, c, sign, "6982") // no touch
	touched = true
	sig := send(t, c, sign, "9000")
	if !ecdsa.VerifyASN1(pub, sum[:], sig[4:]) {
		t.Error("the signature does not fit")
	}
	send(t, c, sign, "6982") // the PIN counts for one
	var leaf []byte
	for apdu := []byte{0, 0xf9, 0x9c, 0, 0}; ; apdu = []byte{0, 0xc0, 0, 0, 0} {
		answer := c.Transmit(apdu)
		leaf = append(leaf, answer[:len(answer)-2]...)
		if answer[len(answer)-2] != 0x61 {
			break
		}
	}
	cert, err := x509.ParseCertificate(leaf)
	if err != nil {
		t.Fatal(err)
	}
	if !pub.Equal(cert.PublicKey) || cert.CheckSignatureFrom(c.attest.certificate) != nil {
		t.Error("the attestation is another's")
	}
	send(t, c, "00f99a0000", "6a80")
	send(t, c, "00f7009a00", "6a88")
}

// TestMalformedCommands are answered, and nothing breaks.
func TestMalformedCommands(t *testing.T) {
	c := newCard(t, Config{})
	for apdu, status := range map[string]string{
		"": "6700", "00a404": "6700", "0020008009 00": "6700", "00200080020101": "6a80", "00cb3fff05 5c035fc105": "6a82",
		"00879a9a 02 7c00": "6a80", "00ee0000": "6d00", "0047009c 02 ac00": "6982", "00db3fff02 5c00": "6982",
	} {
		send(t, c, apdu, status)
	}
	for range 20 { // a chain without an end
		b := append([]byte{0x10, 0xdb, 0x3f, 0xff, 0xff}, make([]byte, 255)...)
		c.Transmit(b)
	}
	if len(c.session.chain) > maxCommand {
		t.Errorf("%d bytes of a command are kept", len(c.session.chain))
	}
}

func FuzzTransmit(f *testing.F) {
	f.Add([]byte{0, 0xa4, 4, 0, 5, 0xa0, 0, 0, 3, 8})
	f.Add([]byte{0, 0x87, 0x11, 0x9c, 4, 0x7c, 2, 0x81, 0})
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, apdu []byte) {
		if answer := c.Transmit(apdu); len(answer) < 2 || len(answer) > maxAnswer+2 {
			t.Errorf("%x: %d bytes", apdu, len(answer))
		}
	})
}
