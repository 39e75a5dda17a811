package protocol

import (
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// ValidID reports whether s can be the ID of a container: letters, digits and
// "_+.-", as runc has it, and a letter, digit or "_" first. It is part of a
// folder's name, whose length is bounded.
func ValidID(s string) bool {
	return named(s, 200, lower+upper+digits+"_", "+.-")
}

// ValidTeam reports whether s can be the name of a team, which is part of the
// names of control groups: lower-case letters, digits and "_-", and not one of
// these two first.
func ValidTeam(s string) bool { return named(s, 63, lower+digits, "_-") }

// named reports whether s is 1 to most bytes, of which the first is one of first
// and the others one of first or more. A regular expression would be compiled at
// every start of the runtime.
func named(s string, most int, first, more string) bool {
	return s != "" && len(s) <= most && strings.IndexByte(first, s[0]) >= 0 && strings.TrimLeft(s, first+more) == ""
}

// Validate reports what is wrong with a question, Invalid: a version other than
// this one, an unknown verb, no ID.
func (q *Question) Validate() error {
	switch {
	case q.Version != Version:
		return otherVersion(q.Version)
	case q.Verb != Create && q.Verb != Restore && q.Verb != Deleted:
		return fault.Errorf(fault.Invalid, "verb %q is not known", q.Verb)
	case !ValidID(q.ID):
		return fault.Errorf(fault.Invalid, "%.80q is no container's ID", q.ID)
	case !path.IsAbs(q.State):
		return fault.Errorf(fault.Invalid, "state %.80q is no absolute path", q.State)
	}
	return nil
}

// Validate reports what in a grant cannot be meant, Invalid: above all IDs that
// are the host's own.
func (g *Grant) Validate() error {
	if !ValidTeam(g.Team) {
		return fault.Errorf(fault.Invalid, "grant: %.80q is no team's name", g.Team)
	}
	if err := g.Profile.Validate(); err != nil {
		return fault.As(fault.Invalid, err)
	}
	for _, r := range []idmap.Range{g.IDs, g.Disk} {
		if r.Size != idmap.SlotSize || r.Base < idmap.SlotSize || r.Base > 1<<31-idmap.SlotSize {
			return fault.Errorf(fault.Invalid, "grant: the %d IDs from %d are no slot", r.Size, r.Base)
		}
	}
	if g.IDs.Overlaps(g.Disk) {
		return fault.Errorf(fault.Invalid, "grant: the container's IDs are those of its team's files")
	}
	for _, list := range [][]string{g.Own, g.VolumeRoots, g.Protected} {
		for _, p := range list {
			if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
				return fault.Errorf(fault.Invalid, "grant: %.200q is no clean path below /", p)
			}
		}
	}
	for _, name := range g.VolumeNames {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return fault.Errorf(fault.Invalid, "grant: %.80q is no volume's name", name)
		}
	}
	return nil
}

func otherVersion(v int) error {
	return fault.Errorf(fault.Invalid, "version %d of the messages, not %d: runtime and guard are of different releases", v, Version)
}

// grant returns what an answer grants, or the refusal that it is.
func (a *Answer) grant() (*Grant, error) {
	switch {
	case a.Version != Version:
		return nil, otherVersion(a.Version)
	case a.refuses():
		return nil, a.refusal()
	case a.Grant == nil:
		return nil, fault.Errorf(fault.Invalid, "the guard gave neither a grant nor a reason")
	}
	return a.Grant, a.Grant.Validate()
}

func (a *Answer) refuses() bool { return a.Error != "" || a.Kind != fault.Internal }

func (a *Answer) refusal() error {
	err := fault.Errorf(a.Kind, "%s", a.Error)
	if a.Hint != "" {
		err = fault.Hint(err, "%s", a.Hint)
	}
	return err
}

// Refuse returns the answer that tells of err.
func Refuse(err error) Answer {
	return Answer{Version: Version, Kind: fault.KindOf(err), Error: err.Error(), Hint: fault.HintOf(err)}
}
