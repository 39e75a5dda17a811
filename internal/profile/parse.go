package profile

import (
	"math"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

var units = map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

const maxDigits = 12 // of a quantity

// ParseBytes returns the number of bytes that s says: a whole number with a
// unit of powers of 1024, "512MiB", "16GiB". A number without a unit is Invalid,
// as are the units of powers of 1000: who writes them seldom means them.
func ParseBytes(s string) (int64, error) {
	name := strings.TrimLeft(s, "0123456789")
	digits := s[:len(s)-len(name)]
	unit, ok := units[name]
	if !ok || digits == "" || len(digits) > maxDigits {
		return 0, fault.Errorf(fault.Invalid, "quantity %q: write a whole number and a unit of B, KiB, MiB, GiB or TiB, such as 512MiB", s)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fault.Errorf(fault.Invalid, "quantity %q: %w", s, err)
	}
	if n > math.MaxInt64/unit {
		return 0, fault.Errorf(fault.Invalid, "quantity %q is too large", s)
	}
	return n * unit, nil
}

// ParseMount returns the mount that s allows: "/srv/data/**:rw". Without ":rw"
// or ":ro" it is read-only. The path must be absolute and clean; a wildcard may
// only be its last element and only "**".
func ParseMount(s string) (Mount, error) {
	path, mode, ok := strings.Cut(s, ":")
	if ok && mode != "rw" && mode != "ro" {
		return Mount{}, fault.Errorf(fault.Invalid, "mount %q: after the path comes :ro or :rw, not %q", s, mode)
	}
	m := Mount{Path: path, Writable: mode == "rw"}
	return m, m.validate()
}
