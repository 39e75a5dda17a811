package trust

import (
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const maxCertificates = 256 << 10

// certificateFile is where the certificates lie that stand for a key in formats
// that ask for one; below the GUN's folder, as the record is.
func certificateFile(gun ref.GUN, fingerprint string) string {
	return string(gun) + "/_certificate-" + strings.TrimPrefix(fingerprint, "sha256:") + ".pem"
}

// Certificates returns the certificates, in PEM, that stand for a key of gun
// where a format asks for one; NotFound if there are none.
func (s *Records) Certificates(gun ref.GUN, fingerprint string) ([]byte, error) {
	dir, err := openDir(s.path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return readFile(dir, certificateFile(gun, fingerprint), maxCertificates)
}

// SaveCertificates writes them durably.
func (s *Records) SaveCertificates(gun ref.GUN, fingerprint string, pem []byte) error {
	if len(pem) > maxCertificates {
		return fault.Errorf(fault.Invalid, "certificates of %d bytes", len(pem))
	}
	dir, err := openDir(s.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.MkdirAll(string(gun), 0o700); err != nil {
		return fault.As(fault.Unavailable, err)
	}
	return writeFile(dir, certificateFile(gun, fingerprint), pem, 0o600)
}
