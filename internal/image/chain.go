package image

import (
	"github.com/opencontainers/go-digest"

	"plimsoll/internal/ref"
)

// ChainIDs returns, for each layer, the identity of it applied onto those below
// it (image-spec, config.md, "Layer ChainID").
func ChainIDs(diffIDs []ref.Digest) []ref.Digest {
	chain := make([]ref.Digest, len(diffIDs))
	for i, d := range diffIDs {
		if i > 0 {
			d = digest.FromString(string(chain[i-1]) + " " + string(d))
		}
		chain[i] = d
	}
	return chain
}
