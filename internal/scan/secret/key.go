package secret

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"

	"plimsoll/internal/inventory"
)

const (
	begin  = "-----BEGIN "
	dashes = "-----"
	end    = "END "

	maxLabel = 40       // bytes before " PRIVATE KEY"
	maxKey   = 64 << 10 // bytes between BEGIN and END
	minKey   = 40       // bytes of a key, decoded: Ed25519 in PKCS #8 has 48
	nearby   = 4 << 10  // bytes about a key in which a service account says what it is
)

// pem judges a key in PEM (RFC 7468), OpenSSH's form or OpenPGP's armour, also
// where it is written as a string of JSON.
func (s *search) pem(at int) {
	from := max(at-maxLabel, 0)
	i := bytes.LastIndex(s.text[from:at+1], []byte(begin))
	if i < 0 {
		return
	}
	start := from + i
	label, rest, ok := bytes.Cut(s.text[start+len(begin):min(len(s.text), at+maxKey)], []byte(dashes))
	if !ok || len(label) > maxLabel+len(" PRIVATE KEY BLOCK") || bytes.IndexByte(label, '\n') >= 0 {
		return
	}
	body, rest, ok := bytes.Cut(rest, []byte(dashes))
	if !ok || !bytes.HasPrefix(rest, []byte(end)) {
		return
	}
	encoded, encrypted := unwrap(body)
	der := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(der, encoded)
	if err != nil || n < minKey {
		return
	}
	kind := kindOf(string(label), der[:n], encrypted)
	if kind == inventory.PrivateKey && s.serviceAccount(start) {
		kind = inventory.GCPServiceAccount
	}
	if kind != "" {
		s.add(kind, start, encoded, kind == inventory.EncryptedKey)
	}
}

// unwrap returns the base64 text in a key's body, and whether the headers before
// it say that it is encrypted (RFC 1421, 4.6.1.1).
func unwrap(body []byte) (encoded []byte, encrypted bool) {
	body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(`\n`), []byte("\n")), []byte(`\r`), nil)
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0, line[0] == '=': // the checksum of OpenPGP's armour
		case bytes.IndexByte(line, ':') >= 0:
			encrypted = encrypted || bytes.Contains(line, []byte("ENCRYPTED"))
		default:
			encoded = append(encoded, line...)
		}
	}
	return encoded, encrypted
}

// kindOf returns what a decoded key is, "" if it is none.
func kindOf(label string, der []byte, encrypted bool) inventory.SecretKind {
	switch {
	case encrypted, label == "ENCRYPTED PRIVATE KEY":
		return inventory.EncryptedKey
	case label == "PGP PRIVATE KEY BLOCK":
		if tag := der[0]; tag&0xc0 == 0xc0 && tag&0x3f == 5 || tag&0xc0 == 0x80 && tag>>2&0xf == 5 { // RFC 9580, 4.2 and 5
			return inventory.PrivateKey
		}
		return ""
	case label == "OPENSSH PRIVATE KEY":
		return openSSH(der)
	}
	var v asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 || v.Tag != asn1.TagSequence {
		return ""
	}
	return inventory.PrivateKey
}

// openSSH reads the cipher out of a key of OpenSSH (its PROTOCOL.key).
func openSSH(b []byte) inventory.SecretKind {
	b, ok := bytes.CutPrefix(b, []byte("openssh-key-v1\x00"))
	if !ok || len(b) < 4 {
		return ""
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n > int64(len(b)-4) {
		return ""
	}
	if string(b[4:4+n]) == "none" {
		return inventory.PrivateKey
	}
	return inventory.EncryptedKey
}

func (s *search) serviceAccount(at int) bool {
	around := s.text[max(at-nearby, 0):min(at+nearby, len(s.text))]
	return bytes.Contains(around, []byte(`"service_account"`)) && bytes.Contains(around, []byte(`"private_key"`))
}

// kubernetes judges the key of a client in a kubeconfig: a PEM file in base64.
func (s *search) kubernetes(at int) {
	at = s.after(at+len("client-key-data"), "\" ")
	if at >= len(s.text) || s.text[at] != ':' {
		return
	}
	at = s.after(at+1, "\" \t")
	encoded := s.run(at, &tokenSet)
	key, err := base64.StdEncoding.DecodeString(string(encoded))
	if err != nil {
		return
	}
	inner := &search{text: key}
	if i := bytes.Index(key, []byte(" PRIVATE KEY")); i >= 0 {
		inner.pem(i)
	}
	if len(inner.found) > 0 {
		s.add(inventory.KubernetesKey, at, encoded, false)
	}
}
