package trust

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"

	"plimsoll/internal/fault"
)

// check compares b with every hash that is known here; hashes by other
// algorithms say nothing. Nil hashes allow anything.
func (h hashes) check(b []byte) error {
	for name, want := range h {
		got, ok := hashOf(name, b)
		if ok && got != want {
			return fault.Errorf(fault.Untrusted, "%s hash is %s, %s was promised", name, got, want)
		}
	}
	return nil
}

func hashOf(algorithm string, b []byte) (string, bool) {
	switch algorithm {
	case "sha256":
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:]), true
	case "sha512":
		sum := sha512.Sum512(b)
		return hex.EncodeToString(sum[:]), true
	}
	return "", false
}

// describe returns what snapshot or timestamp say about the file b.
func describe(b []byte, version int64) metaFile {
	sum, _ := hashOf("sha256", b)
	return metaFile{Version: version, Length: int64(len(b)), Hashes: hashes{"sha256": sum}}
}
