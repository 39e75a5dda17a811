// Package pkcs11 signs with keys that live in a token (a smart card, a USB key,
// an HSM, a TPM) through its PKCS#11 module. A pkcs11: URI (RFC 7512) names the
// key:
//
//	pkcs11:token=release;object=root
//	pkcs11:serial=5f2a;id=%01?module-path=/usr/lib/softhsm/libsofthsm2.so
//
// The key is made in the token and never leaves it; whether the token says so is
// read back, and a token that cannot hold such a key is refused. What PKCS#11
// cannot give is proof for others: an attribute is the module's word.
//
// The module is a C library, so a build without cgo knows the URIs and refuses
// them. A module is initialised once however many keys of it are open, and a PIN
// is never tried twice.
package pkcs11

import (
	"errors"

	"plimsoll/internal/key"
)

// Scheme is the URI scheme of keys in tokens.
const Scheme = "pkcs11"

// ErrNoModule says that this machine, or this build, has no PKCS#11 module to
// look for tokens with.
var ErrNoModule = errors.New("no PKCS#11 module")

// Config is what a provider needs.
type Config struct {
	// Module is the module's absolute path for URIs that name none; if it is
	// empty, the usual places are searched.
	Module string
	// PIN logs in to tokens whose URI has no pin-source. If it is empty, Prompter
	// is asked.
	PIN string
	// Prompter asks for a PIN; nil if there is nobody to ask. One that is a
	// [key.Notifier] is told when a token seems to wait for a touch.
	Prompter key.Prompter
}
