package cli

import (
	"fmt"

	"plimsoll/internal/key"
)

// attestation is what a token proves about a key, or why it proves nothing.
type attestation struct {
	*key.Attestation
	Problem string `json:"problem,omitempty"`
}

// attestations judges what a root claims of its keys, by fingerprint.
func (env *Env) attestations(claims map[string][][]byte) (map[string]attestation, error) {
	makers, err := env.Settings.TokenMakers()
	if err != nil {
		return nil, err
	}
	all := map[string]attestation{}
	for fingerprint, chain := range claims {
		a, err := key.VerifyAttestationOf(fingerprint, chain, makers)
		if err != nil {
			all[fingerprint] = attestation{Problem: err.Error()}
			continue
		}
		all[fingerprint] = attestation{Attestation: a}
	}
	return all, nil
}

// words says in a few words where a key lives.
func (a attestation) words() string {
	switch {
	case a.Problem != "":
		return "attestation is false: " + a.Problem
	case a.Attestation == nil:
		return "not attested"
	}
	return fmt.Sprintf("%s %s, firmware %s, touch %s", a.Maker, a.Serial, a.Firmware, a.Touch)
}
