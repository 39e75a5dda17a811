package trust

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
)

// succinct delegates to hash bins that need not be listed (TAP 15): 2^Bits roles
// called "<Prefix>-<number>", all with the same keys. A target is the bin's whose
// number is the first Bits bits of the SHA-256 of its path.
type succinct struct {
	keyRole
	Bits   int // 1 to 32
	Prefix string
	rest   map[string]any
}

func decodeSuccinct(o *object) *succinct {
	s := &succinct{keyRole: decodeKeyRole(o), Bits: int(o.integer("bit_length", 1, 32)), Prefix: o.text("name_prefix")}
	if !validRole(s.name(0)) {
		o.fail("name_prefix", "not the beginning of a role's name")
	}
	s.rest = o.rest()
	return s
}

func (s *succinct) encode() map[string]any {
	fields := s.keyRole.encode()
	fields["bit_length"], fields["name_prefix"] = s.Bits, s.Prefix
	return withRest(s.rest, fields)
}

// name returns the name of a bin: its number is written in lower-case hex, with
// as many digits as the last one's takes.
func (s *succinct) name(bin uint32) string {
	digits := len(strconv.FormatUint(1<<s.Bits-1, 16))
	return fmt.Sprintf("%s-%0*x", s.Prefix, digits, bin)
}

// bin returns the role that speaks for the target name.
func (s *succinct) bin(name string) string {
	sum := sha256.Sum256([]byte(name))
	return s.name(binary.BigEndian.Uint32(sum[:4]) >> (32 - s.Bits))
}
