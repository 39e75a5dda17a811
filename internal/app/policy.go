package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
)

// maxPolicy is a little more than a policy may have, so that one which is too
// long is told from one which is not.
const maxPolicy = 1<<20 + 1

// ReadPolicy reads and checks the policy in the file path.
func ReadPolicy(path string) (*policy.Document, error) {
	f, err := os.Open(path) // #nosec G304 -- the person's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Hint(fmt.Errorf("read policy: %w", err), "write a policy there, or name another with --policy")
	} else if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "read policy: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPolicy))
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "read policy %q: %w", path, err)
	}
	return policy.Parse(path, b)
}
