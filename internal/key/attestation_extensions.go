package key

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"regexp"
	"strings"

	"plimsoll/internal/fault"
)

// The extensions of PIV attestation certificates (Yubico, "PIV attestation";
// 1.3.6.1.4.1.41482.3). Their values are bytes, but for the serial's INTEGER.
var (
	oidFirmware   = yubico(3) // three bytes: major, minor, patch
	oidSerial     = yubico(7) // INTEGER
	oidPolicies   = yubico(8) // two bytes: PIN policy, touch policy
	oidFormFactor = yubico(9) // one byte
)

func yubico(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, n} }

var (
	pinPolicies   = [...]Policy{1: PolicyNever, PolicyOnce, PolicyAlways, PolicyMatchOnce, PolicyMatchAlways}
	touchPolicies = [...]Policy{1: PolicyNever, PolicyAlways, PolicyCached}
	formFactors   = [...]string{
		1: "USB-A keychain", "USB-A nano", "USB-C keychain", "USB-C nano", "USB-C and Lightning keychain",
		"USB-A bio", "USB-C bio",
	}
)

// The form factor's byte says in its upper bits of which series a token is.
const (
	formFIPS = 0x80
	formMask = 0x0f
)

// attestedSlot is how a YubiKey names the subject of a key's certificate.
var attestedSlot = regexp.MustCompile(`^YubiKey PIV Attestation ([0-9a-f]{2})$`)

func slotOf(leaf *x509.Certificate) string {
	if m := attestedSlot.FindStringSubmatch(leaf.Subject.CommonName); m != nil {
		return m[1]
	}
	return ""
}

// read takes what leaf's extensions say. Firmware and policies must be there,
// since rules judge by them; an extension that is malformed is an error and
// not left out.
func (a *Attestation) read(leaf *x509.Certificate) error {
	wrong := func(what string, value []byte) error {
		return fault.Errorf(fault.Untrusted, "the attestation's %s is malformed: %x", what, value[:min(len(value), 16)])
	}
	if v, ok := extension(leaf, oidFirmware); !ok || len(v) != 3 {
		return wrong("firmware", v)
	} else {
		a.Firmware = fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
	}
	v, _ := extension(leaf, oidPolicies)
	if len(v) != 2 || !a.policies(v[0], v[1]) {
		return wrong("PIN and touch policies", v)
	}
	if v, ok := extension(leaf, oidSerial); ok {
		var serial int64
		if rest, err := asn1.Unmarshal(v, &serial); err != nil || len(rest) > 0 || serial < 0 || serial > 1<<32-1 {
			return wrong("serial", v)
		}
		a.Serial = fmt.Sprint(serial)
	}
	if v, ok := extension(leaf, oidFormFactor); ok {
		if len(v) != 1 {
			return wrong("form factor", v)
		}
		a.FIPS = v[0]&formFIPS != 0
		if n := int(v[0] & formMask); n < len(formFactors) {
			a.FormFactor = formFactors[n]
		}
	}
	return nil
}

func (a *Attestation) policies(pin, touch byte) bool {
	if int(pin) >= len(pinPolicies) || int(touch) >= len(touchPolicies) {
		return false
	}
	a.PIN, a.Touch = pinPolicies[pin], touchPolicies[touch]
	return a.PIN != "" && a.Touch != ""
}

// extension returns the value of an extension, which a certificate holds once
// (x509 refuses doubles).
func extension(c *x509.Certificate, id asn1.ObjectIdentifier) ([]byte, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return e.Value, true
		}
	}
	return nil, false
}

// cleanName returns a common name for a message.
func cleanName(c *x509.Certificate) string {
	return cut(strings.ToValidUTF8(c.Subject.CommonName, "\uFFFD"))
}
