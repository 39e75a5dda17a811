package piv

import (
	"fmt"
	"strconv"

	"plimsoll/internal/fault"
)

// slot is the reference of a key (SP 800-73-4, part 1, table 4b): 9a, 9c, 9d, 9e,
// and 82 to 95 for retired ones, which are good for any use.
type slot byte

const (
	slotAuthentication slot = 0x9a
	slotSignature      slot = 0x9c
	slotManagement     slot = 0x9d
	slotCard           slot = 0x9e
	firstRetired       slot = 0x82
	lastRetired        slot = 0x95

	manager = 0x9b // the management key
)

// parseSlot reads two hexadecimal digits.
func parseSlot(s string) (slot, error) {
	n, err := strconv.ParseUint(s, 16, 8)
	if err == nil && len(s) == 2 {
		for _, known := range allSlots() {
			if known == slot(n) {
				return known, nil
			}
		}
	}
	err = fault.Errorf(fault.Invalid, "piv: URI, attribute slot: %q is not a slot for keys", s)
	return 0, fault.Hint(err, "slots are 9a, 9c (signatures), 9d, 9e, and 82 to 95")
}

// allSlots returns the slots in the order in which they are listed.
func allSlots() []slot {
	all := []slot{slotAuthentication, slotSignature, slotManagement, slotCard}
	for s := firstRetired; s <= lastRetired; s++ {
		all = append(all, s)
	}
	return all
}

// String returns the slot as it is written.
func (s slot) String() string { return fmt.Sprintf("%02x", byte(s)) }

// certificate returns the tag of the slot's certificate (SP 800-73-4, part 1,
// table 3).
func (s slot) certificate() []byte {
	low := map[slot]byte{slotAuthentication: 0x05, slotSignature: 0x0a, slotManagement: 0x0b, slotCard: 0x01}[s]
	if s >= firstRetired && s <= lastRetired {
		low = 0x0d + byte(s-firstRetired)
	}
	return []byte{0x5f, 0xc1, low}
}
