package app

import (
	"os"

	"plimsoll/internal/key"
	"plimsoll/internal/key/file"
	"plimsoll/internal/key/piv"
	"plimsoll/internal/key/pkcs11"
)

// Keys returns the providers of signing keys by URI scheme. A passphrase comes
// from PLIMSOLL_KEY_PASSPHRASE, a PIN from PLIMSOLL_PKCS11_PIN or PLIMSOLL_PIV_PIN,
// the management key of PIV tokens from PLIMSOLL_PIV_MANAGEMENT_KEY, and otherwise
// from p, which may be nil; PLIMSOLL_PKCS11_MODULE is the path of the PKCS#11
// module, which is found by itself if it lies in a usual place, and
// PCSCLITE_CSOCK_NAME that of pcscd's socket.
func Keys(p key.Prompter) key.Providers {
	return key.Providers{
		file.Scheme: file.New(file.Config{Passphrase: os.Getenv("PLIMSOLL_KEY_PASSPHRASE"), Prompter: p}),
		pkcs11.Scheme: pkcs11.New(pkcs11.Config{
			Module:   os.Getenv("PLIMSOLL_PKCS11_MODULE"),
			PIN:      os.Getenv("PLIMSOLL_PKCS11_PIN"),
			Prompter: p,
		}),
		piv.Scheme: piv.New(piv.Config{
			Socket:        os.Getenv("PCSCLITE_CSOCK_NAME"),
			PIN:           os.Getenv("PLIMSOLL_PIV_PIN"),
			ManagementKey: os.Getenv("PLIMSOLL_PIV_MANAGEMENT_KEY"),
			Prompter:      p,
		}),
	}
}
