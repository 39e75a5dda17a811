package ocistore

import (
	"context"
	"fmt"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/trust"
)

// places is how many of the last updates are remembered, under the tags
// "_trust.0" to "_trust.f" by the timestamp's version.
const places = 16

func placeTag(version int64) string { return fmt.Sprintf("%s.%x", Tag, version%places) }

var _ trust.Journal = (*change)(nil)

// remember puts the manifest b where the next publishers look for what was lost.
// That is before it is published, since a write that outlives its time limit can
// land on top of it at any time after that. A registry that honours conditions
// refuses such a write, and needs no memory.
func (c *change) remember(ctx context.Context, version int64, b []byte) error {
	if c.claim == nil || version < 1 {
		return nil
	}
	if err := c.store.put(ctx, c.gun, placeTag(version), b, oci.Condition{}); err != nil {
		return fmt.Errorf("remember what is published for %q: %w", c.gun, err)
	}
	return nil
}

// Recent implements [trust.Journal].
func (c *change) Recent(ctx context.Context, version int64) (trust.Collection, error) {
	if c.claim == nil || version < 1 {
		return nil, fault.Errorf(fault.NotFound, "update %d of %q is not remembered", version, c.gun)
	}
	kept, err := c.store.load(ctx, c.gun, placeTag(version))
	if err != nil {
		return nil, err
	}
	return kept, nil
}
