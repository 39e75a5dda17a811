package idmap

import (
	"bytes"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

// Owner is the name under which a host reserves a range for us.
const Owner = "plimsoll"

const (
	maxSubIDBytes = 1 << 20
	maxSubIDLines = 1 << 15
)

// SubID is one line of /etc/subuid or /etc/subgid: the IDs that Name, a user's
// name or number, may map.
type SubID struct {
	Name string
	Range
}

// ParseSubIDs reads a file as subuid(5) describes it: "name:first:count" lines.
// Empty lines and lines that start with # are skipped; any other line is
// Invalid, because a range that cannot be read cannot be kept clear of.
func ParseSubIDs(b []byte) ([]SubID, error) {
	if len(b) > maxSubIDBytes {
		return nil, fault.Errorf(fault.Invalid, "more than %d bytes", maxSubIDBytes)
	}
	if bytes.Count(b, []byte("\n")) > maxSubIDLines {
		return nil, fault.Errorf(fault.Invalid, "more than %d lines", maxSubIDLines)
	}
	var all []SubID
	n := 0
	for line := range strings.SplitSeq(string(b), "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, ok := parseSubID(line)
		if !ok {
			return nil, fault.Errorf(fault.Invalid, "line %d: %q is not name:first:count", n, line)
		}
		all = append(all, e)
	}
	return all, nil
}

func parseSubID(line string) (SubID, bool) {
	f := strings.Split(line, ":")
	if len(f) != 3 || f[0] == "" {
		return SubID{}, false
	}
	base, err := strconv.ParseUint(f[1], 10, 32)
	if err != nil {
		return SubID{}, false
	}
	size, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil || base+size > 1<<32 {
		return SubID{}, false
	}
	return SubID{f[0], Range{uint32(base), uint32(size)}}, true
}

// HostRange returns the range that containers of this host use, given what its
// /etc/subuid and /etc/subgid say: the one line that names plimsoll in both
// files, or [Default] if neither has one. Lines that differ, that are more than
// one, or that another name's range overlaps are Invalid.
func HostRange(uids, gids []SubID) (Range, error) {
	u, err := own("/etc/subuid", uids)
	if err != nil {
		return Range{}, err
	}
	g, err := own("/etc/subgid", gids)
	if err != nil {
		return Range{}, err
	}
	r := Default
	switch {
	case u != g:
		err := fault.Errorf(fault.Invalid, "/etc/subuid and /etc/subgid name different ranges for %s", Owner)
		return Range{}, fault.Hint(err, "write the same line %s:%d:%d into both", Owner, Default.Base, Default.Size)
	case u != Range{}:
		r = u
	}
	if err := r.check(); err != nil {
		return Range{}, err
	}
	if err := clear("/etc/subuid", r, uids); err != nil {
		return Range{}, err
	}
	return r, clear("/etc/subgid", r, gids)
}

func own(file string, all []SubID) (Range, error) {
	var found Range
	for _, e := range all {
		if e.Name != Owner {
			continue
		}
		if found != (Range{}) {
			return Range{}, fault.Errorf(fault.Invalid, "%s has more than one line for %s", file, Owner)
		}
		if found = e.Range; found == (Range{}) {
			return Range{}, fault.Errorf(fault.Invalid, "%s has an empty range for %s", file, Owner)
		}
	}
	return found, nil
}

func clear(file string, r Range, all []SubID) error {
	for _, e := range all {
		if e.Name != Owner && e.Overlaps(r) {
			err := fault.Errorf(fault.Invalid, "user IDs %s for containers overlap those of %q (%s) in %s", r, e.Name, e.Range, file)
			return fault.Hint(err, "give %s a range of its own: a line %s:FIRST:COUNT in /etc/subuid and /etc/subgid", Owner, Owner)
		}
	}
	return nil
}
