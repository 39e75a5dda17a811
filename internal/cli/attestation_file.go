package cli

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const (
	maxChainFile = 64 << 10 // bytes of a file with an attestation
	maxChain     = 8        // certificates in it
)

// readChains reads files of certificates (PEM), each with what one token proves
// about one key, and returns them by the key's fingerprint. They are not
// verified yet.
func readChains(files []string) (map[string][][]byte, error) {
	all := map[string][][]byte{}
	for _, file := range files {
		text, err := readNamed(file, maxChainFile)
		if err != nil {
			return nil, err
		}
		chain, fingerprint, err := parseChain(text)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "attestation %q: %w", file, err)
		}
		all[fingerprint] = chain
	}
	return all, nil
}

// parseChain reads certificates and the fingerprint of the key that the first
// of them is about.
func parseChain(text []byte) (chain [][]byte, fingerprint string, err error) {
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" || len(chain) == maxChain {
			return nil, "", fault.Errorf(fault.Invalid, "not 1 to %d certificates in PEM", maxChain)
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, "", fault.Errorf(fault.Invalid, "it is empty")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, "", fault.Errorf(fault.Invalid, "first certificate: %w", err)
	}
	fingerprint, err = key.Fingerprint(leaf.PublicKey)
	return chain, fingerprint, err
}
