package trust

import (
	"context"
	"encoding/hex"

	"plimsoll/internal/fault"
)

// given are the documents of a ceremony, which are published as they were
// proposed, and the signatures that their holders gave. Nil gives nothing.
type given struct {
	headers map[string]*header           // by role
	by      map[string]map[string][]byte // role → fingerprint → signature
}

// header returns the version and expiry of role's document, or nil.
func (g *given) header(role string) *header {
	if g == nil {
		return nil
	}
	return g.headers[role]
}

// sign adds to done the given signatures by the keys of need. No key that is
// held here signs what people sign in a ceremony.
func (g *given) sign(_ context.Context, role string, _ []byte, need signedBy, done map[string]map[string]any) error {
	count := 0
	for _, k := range need.role.of(need.keys) {
		if sig := g.by[role][k.Fingerprint]; sig != nil && done[k.Fingerprint] == nil {
			done[k.Fingerprint] = map[string]any{"keyid": k.ID, "sig": hex.EncodeToString(sig)}
		}
		if done[k.Fingerprint] != nil {
			count++
		}
	}
	if count < need.role.Threshold {
		return fault.Errorf(fault.Untrusted, "%s takes signatures by %d keys, the answers bring %d", role, need.role.Threshold, count)
	}
	return nil
}
