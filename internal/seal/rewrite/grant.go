package rewrite

import (
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/seal/protocol"
)

// usable refuses a grant or a situation that nothing could be sealed with: what
// is not said must not come out as "no limit".
func usable(g *protocol.Grant, s Situation) error {
	if g == nil {
		return fault.Errorf(fault.Denied, "nothing was granted")
	}
	if err := g.Profile.Validate(); err != nil {
		return fault.Errorf(fault.Denied, "the team's profile cannot be held to: %w", err)
	}
	switch {
	case g.Profile.Host:
		return fault.Errorf(fault.Denied, "the profile's host: true is no container's that is sealed")
	case !teamName(g.Team):
		return fault.Errorf(fault.Invalid, "team %.80q: not a lower-case name", g.Team)
	case g.IDs.Size != idmap.SlotSize || g.IDs.Base < idmap.SlotSize || uint64(g.IDs.Base)+uint64(g.IDs.Size) > 1<<31:
		return fault.Errorf(fault.Invalid, "the IDs %v are no slot for a container", g.IDs)
	case !containerID(s.ID):
		return fault.Errorf(fault.Invalid, "container ID %.80q: letters, digits, and _ + - . inside of it", s.ID)
	case s.Paths.Root == "" || s.Paths.Users == "" || s.Paths.Mounts == "" || s.Paths.Nodes == "":
		return fault.Errorf(fault.Internal, "no place to build the container in")
	}
	return nil
}

const maxName = 63 // bytes of a team's name

// teamName reports whether s can be a part of the names of control groups.
func teamName(s string) bool {
	if s == "" || len(s) > maxName || s[0] == '-' || s[0] == '_' {
		return false
	}
	return consists(s, "abcdefghijklmnopqrstuvwxyz0123456789_-")
}

const maxID = 128 // bytes; engines' own have 64

// containerID reports whether s is what runtimes take for a container's name,
// and no path.
func containerID(s string) bool {
	if s == "" || len(s) > maxID || strings.Trim(s, ".") == "" || s[0] == '-' {
		return false
	}
	return consists(s, letters+digits+"_+-.")
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// consists reports whether s has no characters but those of set.
func consists(s, set string) bool {
	return strings.Trim(s, set) == ""
}
