package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

// A printed answer is a version, the beginnings of the ceremony's ID and of the
// key's fingerprint, the signatures, and a check sum, in base 32. It is written
// in numbered lines, each with a check sum of its own, so that whoever types it
// is told which line is wrong, or in one piece for a camera.
const (
	printedVersion = 1
	codePrefix     = "PLIMSOLL-ANSWER:" // letters that a QR code holds densely
	lineBytes      = 15                 // 24 letters, in groups of four
	sumBytes       = 4
	maxSignature   = 128 // bytes; P-256 in DER takes 72, Ed25519 64
)

// crockford is base 32 without letters that look like others.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// plainLetters are the letters that people take for others.
var plainLetters = strings.NewReplacer("O", "0", "I", "1", "L", "1")

// Print returns the answer to c as lines that a person can type.
func (c *Ceremony) Print(a *Answer) (string, error) {
	b, err := c.packed(a)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# answer of key %s\n# to the ceremony %s for %s\n", a.fingerprint, c.Fingerprint(), c.gun)
	for i := 0; i*lineBytes < len(b); i++ {
		data := b[i*lineBytes : min((i+1)*lineBytes, len(b))]
		text := crockford.EncodeToString(data)
		fmt.Fprintf(&out, "%02d ", i+1)
		for at := 0; at < len(text); at += 4 {
			fmt.Fprintf(&out, "%s ", text[at:min(at+4, len(text))])
		}
		fmt.Fprintf(&out, " %s\n", lineSum(i+1, text))
	}
	return out.String(), nil
}

// Code returns the answer to c in one piece, for a QR code.
func (c *Ceremony) Code(a *Answer) (string, error) {
	b, err := c.packed(a)
	if err != nil {
		return "", err
	}
	return codePrefix + crockford.EncodeToString(b), nil
}

func (c *Ceremony) packed(a *Answer) ([]byte, error) {
	if err := c.Check(a); err != nil {
		return nil, err
	}
	k, _ := c.key(a.fingerprint)
	id, err := hex.DecodeString(c.ID()[:shortID])
	if err != nil {
		return nil, err
	}
	fingerprint, err := hex.DecodeString(strings.TrimPrefix(k.Fingerprint, "sha256:")[:shortID])
	if err != nil {
		return nil, err
	}
	b := append(append([]byte{printedVersion}, id...), fingerprint...)
	for _, s := range a.signatures {
		if len(s.sig) > maxSignature {
			return nil, fault.Errorf(fault.Invalid, "a signature of %d bytes is not printed", len(s.sig))
		}
		b = append(append(b, byte(len(s.sig))), s.sig...) //nolint:gosec // at most maxSignature
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:sumBytes]...), nil
}

// lineSum returns two letters that change with a line's number and its text.
func lineSum(number int, text string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(number) + " " + text))
	return crockford.EncodeToString(sum[:])[:2]
}

func parsePrinted(b []byte) (*Answer, error) {
	var text string
	var err error
	if _, after, ok := bytes.Cut(b, []byte(codePrefix)); ok {
		text = strings.TrimSpace(string(after))
	} else if text, err = parseLines(string(b)); err != nil {
		return nil, err
	}
	packed, err := crockford.DecodeString(text)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "neither an answer's file nor a printed answer")
	}
	return unpack(packed)
}

// parseLines returns the letters of numbered lines. Empty lines and those that
// begin with # are passed over.
func parseLines(b string) (string, error) {
	var all strings.Builder
	number := 0
	for line := range strings.Lines(b) {
		words := strings.Fields(plainLetters.Replace(strings.ToUpper(line)))
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		number++
		n, err := strconv.Atoi(words[0])
		if err != nil || len(words) < 3 {
			return "", fault.Errorf(fault.Invalid, "neither an answer's file nor a printed answer")
		}
		if n != number {
			return "", fault.Errorf(fault.Invalid, "line %d stands where line %d belongs", n, number)
		}
		text := strings.Join(words[1:len(words)-1], "")
		if lineSum(n, text) != words[len(words)-1] {
			return "", fault.Errorf(fault.Invalid, "line %d was typed wrongly: its last two letters do not fit", n)
		}
		all.WriteString(text)
	}
	return all.String(), nil
}

func unpack(b []byte) (*Answer, error) {
	const head = 1 + shortID
	if len(b) < head+sumBytes || b[0] != printedVersion {
		return nil, fault.Errorf(fault.Invalid, "not a printed answer of version %d", printedVersion)
	}
	b, end := b[:len(b)-sumBytes], b[len(b)-sumBytes:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:sumBytes], end) {
		return nil, fault.Errorf(fault.Invalid, "lines are missing at its end, or it was read wrongly")
	}
	a := &Answer{ceremony: hex.EncodeToString(b[1 : 1+shortID/2]), fingerprint: "sha256:" + hex.EncodeToString(b[1+shortID/2:head])}
	for b = b[head:]; len(b) > 0; {
		n := int(b[0])
		if n > maxSignature || n >= len(b) || len(a.signatures) == maxDocuments+1 {
			return nil, fault.Errorf(fault.Invalid, "a signature is cut")
		}
		a.signatures = append(a.signatures, answerSignature{sig: bytes.Clone(b[1 : 1+n])})
		b = b[1+n:]
	}
	return a, nil
}
