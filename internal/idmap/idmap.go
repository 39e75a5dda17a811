// Package idmap is the arithmetic of user-namespace mappings on one host: ranges
// of IDs, their division into slots of 65,536, and the files in which a host
// says whose a range is (subuid(5), subgid(5)).
//
// A range stands for user IDs and group IDs alike. Containers take slots from
// the bottom and give them back; teams take slots from the top, as the owners of
// their files on disk, and keep them for good.
package idmap

import (
	"fmt"

	"plimsoll/internal/fault"
)

// SlotSize is how many IDs a container, or a team's part of the disk, gets.
const SlotSize = 65536

// Range is Size IDs from Base on.
type Range struct {
	Base uint32 `json:"base"`
	Size uint32 `json:"size"`
}

// Default is the range that a host uses unless /etc/subuid and /etc/subgid name
// another: 0x70000000 to 0x7FFDFFFF, 4,094 slots. It lies above the containers
// of systemd (which end at 0x6FFFFFFF), below its range of foreign images
// (from 0x7FFE0000) and below 2^31 (systemd's UIDS-GIDS document).
var Default = Range{Base: 1879048192, Size: 268304384}

// Last returns the highest ID of r. The zero range has none.
func (r Range) Last() uint32 { return r.Base + r.Size - 1 }

// Contains reports whether id lies in r.
func (r Range) Contains(id uint32) bool { return id >= r.Base && id-r.Base < r.Size }

// Overlaps reports whether r and o have an ID in common.
func (r Range) Overlaps(o Range) bool {
	return r.Size > 0 && o.Size > 0 && (r.Contains(o.Base) || o.Contains(r.Base))
}

// String returns "first–last".
func (r Range) String() string { return fmt.Sprintf("%d–%d", r.Base, r.Last()) }

// Slots returns how many whole slots r has.
func (r Range) Slots() int { return int(r.Size / SlotSize) }

// Slot returns the i-th slot from the bottom, 0 ≤ i < r.Slots().
func (r Range) Slot(i int) Range {
	return Range{Base: r.Base + uint32(i)*SlotSize, Size: SlotSize} //nolint:gosec // i < Slots() keeps it within r, which ends below 2^31
}

// Index returns which slot of r starts at base, or -1 if none does.
func (r Range) Index(base uint32) int {
	if !r.Contains(base) || (base-r.Base)%SlotSize != 0 || int((base-r.Base)/SlotSize) >= r.Slots() {
		return -1
	}
	return int((base - r.Base) / SlotSize)
}

// Lowest returns the lowest slot whose base is not in taken; Unavailable if
// there is none.
func (r Range) Lowest(taken map[uint32]bool) (Range, error) {
	for i := range r.Slots() {
		if s := r.Slot(i); !taken[s.Base] {
			return s, nil
		}
	}
	return Range{}, r.full()
}

// Highest returns the highest slot whose base is not in taken; Unavailable if
// there is none.
func (r Range) Highest(taken map[uint32]bool) (Range, error) {
	for i := r.Slots() - 1; i >= 0; i-- {
		if s := r.Slot(i); !taken[s.Base] {
			return s, nil
		}
	}
	return Range{}, r.full()
}

func (r Range) full() error {
	return fault.Hint(fault.Errorf(fault.Unavailable, "all %d slots of user IDs %s are taken", r.Slots(), r),
		"end containers that are no longer needed, or give plimsoll a larger range in /etc/subuid and /etc/subgid")
}

// check reports what makes r unusable for containers.
func (r Range) check() error {
	switch {
	case r.Base < SlotSize:
		return fault.Errorf(fault.Invalid, "range %s: starts among the host's own users", r)
	case uint64(r.Base)+uint64(r.Size) > 1<<31:
		return fault.Errorf(fault.Invalid, "range from %d of %d IDs: ends above 2147483647", r.Base, r.Size)
	case r.Slots() < 2:
		return fault.Errorf(fault.Invalid, "range %s: has no room for a container and a team's files (needs %d IDs)", r, 2*SlotSize)
	}
	return nil
}
