package piv

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"plimsoll/internal/fault"
)

const maxURI = 1 << 10 // bytes

// uri is a parsed piv: URI.
type uri struct {
	serial uint32 // valid if named
	named  bool
	reader string
	slot   slot // 0 if there is none
}

// parseURI reads piv: and its attributes, in any order, separated by semicolons,
// percent-encoded as in RFC 3986. Attributes that are unknown, repeated or empty
// are Invalid: one that was misspelt would otherwise match every token.
func parseURI(s string) (uri, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !strings.EqualFold(scheme, Scheme) || len(s) > maxURI {
		return uri{}, fault.Errorf(fault.Invalid, "not a piv: URI of at most %d bytes", maxURI)
	}
	var u uri
	if rest == "" {
		return u, nil
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, ";") {
		name, raw, _ := strings.Cut(part, "=")
		if seen[name] {
			return uri{}, fault.Errorf(fault.Invalid, "piv: URI with two attributes %q", name)
		}
		seen[name] = true
		value, err := url.PathUnescape(raw)
		if err != nil || value == "" || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return uri{}, fault.Errorf(fault.Invalid, "piv: URI, attribute %q: it has no value, or one that is malformed", name)
		}
		if err := u.set(name, value); err != nil {
			return uri{}, err
		}
	}
	return u, nil
}

func (u *uri) set(name, value string) error {
	switch name {
	case "serial":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fault.Errorf(fault.Invalid, "piv: URI, attribute serial: %q is not a serial number, as it is printed on the token", value)
		}
		u.serial, u.named = uint32(n), true
	case "slot":
		s, err := parseSlot(value)
		if err != nil {
			return err
		}
		u.slot = s
	case "reader":
		u.reader = value
	case "pin", "pin-value":
		err := fault.Errorf(fault.Invalid, "piv: URI with a PIN: it does not belong on a command line or into a log")
		return fault.Hint(err, "use PLIMSOLL_PIV_PIN, or type it when asked")
	default:
		err := fault.Errorf(fault.Invalid, "piv: URI with the unknown attribute %q", name)
		return fault.Hint(err, "known here are serial, slot, reader: piv:serial=12345678;slot=9c")
	}
	return nil
}

// parseSlotURI is parseURI for a URI that must name a slot.
func parseSlotURI(s string) (uri, error) {
	u, err := parseURI(s)
	if err == nil && u.slot == 0 {
		err = fault.Hint(fault.Errorf(fault.Invalid, "%q names no slot", u), "add slot=9c, which is the slot for signatures: piv:slot=9c")
	}
	return u, err
}

// String returns the URI in normal form.
func (u uri) String() string {
	var parts []string
	if u.named {
		parts = append(parts, fmt.Sprintf("serial=%d", u.serial))
	}
	if u.reader != "" {
		parts = append(parts, "reader="+url.PathEscape(u.reader))
	}
	if u.slot != 0 {
		parts = append(parts, "slot="+u.slot.String())
	}
	return Scheme + ":" + strings.Join(parts, ";")
}
