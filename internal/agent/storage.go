package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// Numbers for storage quotas: those of teams, then those of containers.
const (
	firstTeamProject = 0x40000000
	firstProject     = 0x50000000
)

// leastVolumes is what volumes may hold when containers leave nothing, in bytes:
// a limit of 0 would be none, and with this not even a folder fits.
const leastVolumes = 512

// projects gives the container and its team the numbers under which the file
// system counts what they store, where the profile bounds that. What the team's
// containers may write, this one included, is taken from its total; its volumes
// get what is left.
func (a *Agent) projects(q *protocol.Question, g *protocol.Grant, s *subject) error {
	if g.Profile.Storage == 0 {
		if g.Profile.Total.Storage != 0 {
			return fault.Errorf(fault.Denied, "the profile's total.storage cannot be enforced: a container without a storage limit of its own cannot be counted")
		}
		return nil
	}
	if s.record == nil {
		return fault.Errorf(fault.Denied, "the storage of a container that is not remembered cannot be counted")
	}
	a.quota.Lock()
	defer a.quota.Unlock()
	if total := g.Profile.Total.Storage; total != 0 {
		left, err := a.room(s, g.Profile.Storage, total)
		if err != nil {
			return err
		}
		if g.TeamProject, err = a.teamProject(s.team); err != nil {
			return err
		}
		g.Volumes, g.Turn = max(left, leastVolumes), a.nextTurn()
	}
	if g.Project = s.record.Project; g.Project == 0 {
		var err error
		if g.Project, err = a.freeProject(); err != nil {
			return err
		}
	}
	layers := ""
	if q.Upper != "" {
		layers = filepath.Dir(filepath.Dir(q.Upper))
	}
	return a.change(s.record.ID, func(c *Container) { c.Project, c.Storage, c.Layers = g.Project, g.Profile.Storage, layers })
}

// nextTurn returns a number that is higher than all before it, also than those
// that a guard before this one gave. quota is held.
func (a *Agent) nextTurn() uint64 {
	a.lastTurn = max(a.lastTurn+1, uint64(max(a.config.Now().UnixNano(), 0)))
	return a.lastTurn
}

// room returns what is left of a total when the team's containers, and one
// more that may write storage, have theirs. If that does not fit, what is
// remembered of containers that the engine has no more is forgotten first; then
// it is Denied. quota is held.
func (a *Agent) room(s *subject, storage, total int64) (int64, error) {
	taken, err := a.storage(s.team, s.record.ID)
	if err == nil && taken > total-storage {
		if err = a.reap(s.team, s.record.ID); err == nil {
			taken, err = a.storage(s.team, s.record.ID)
		}
	}
	if err != nil {
		return 0, err
	}
	if taken > total-storage {
		err := fault.Errorf(fault.Denied, "the profile's total.storage is %d bytes: %s's other containers have %d of it, and this one may write %d", total, s.team, taken, storage)
		return 0, fault.Hint(err, "remove stopped containers of the team: they keep what they have written")
	}
	return total - storage - taken, nil
}

// storage returns how many bytes the team's containers may write: those that have
// started and are remembered, without the container except, and those that are
// gone but not their files.
func (a *Agent) storage(team, except string) (int64, error) {
	var sum int64
	add := func(n int64) {
		if sum += n; sum < 0 {
			sum = 1<<63 - 1
		}
	}
	for _, c := range a.allContainers() {
		if c.Team == team && c.ID != except {
			add(c.Storage)
		}
	}
	for number, t := range a.claimed(kindLeft) {
		l, err := parseLeft(number, t.Team)
		if err != nil {
			return 0, err
		}
		if l.team == team {
			add(l.storage)
		}
	}
	return sum, nil
}

// reap forgets the team's containers that have no folder of the engine's any
// more: steps of builds, above all, whose end nobody tells.
func (a *Agent) reap(team, except string) error {
	for _, c := range a.allContainers() {
		if c.Team != team || c.ID == except || c.Project == 0 || a.docker.root == "" {
			continue
		}
		if _, err := os.Lstat(a.docker.folder(c.ID)); errors.Is(err, fs.ErrNotExist) {
			if err := a.removed(c.ID); err != nil {
				return err
			}
		}
	}
	return a.clearLeft()
}

// Removed forgets a container. Its number for quotas is another's only when no
// file bears it any more.
func (a *Agent) Removed(id string) error {
	a.quota.Lock()
	defer a.quota.Unlock()
	if err := a.removed(id); err != nil {
		return err
	}
	if err := a.clearLeft(); err != nil { // it will be tried again
		a.config.Warn(err)
	}
	return nil
}

// removed is Removed while quota is held.
func (a *Agent) removed(id string) error {
	c, err := a.Container(id)
	if err != nil {
		return nil //nolint:nilerr // nobody remembers it
	}
	if c.Project != 0 {
		l := left{c.Project, c.Storage, c.Team, c.Layers}
		number := strconv.FormatUint(uint64(l.project), 10)
		// A crash may have left one that says something else.
		if err := a.Disown(kindLeft, number); err != nil {
			return err
		}
		if err := a.Claim(kindLeft, number, l.String()); err != nil {
			return err
		}
	}
	return a.Memory.Removed(id)
}

// left is the number of a container that is gone, with what it could write, and
// the folder in which its layer was.
type left struct {
	project uint32
	storage int64
	team    string
	layers  string
}

func (l left) String() string { return fmt.Sprintf("%d %s %s", l.storage, l.team, l.layers) }

func parseLeft(number, text string) (left, error) {
	project, err := strconv.ParseUint(number, 10, 32)
	storage, rest, ok := strings.Cut(text, " ")
	team, layers, more := strings.Cut(rest, " ")
	n, err2 := strconv.ParseInt(storage, 10, 64)
	if err != nil || err2 != nil || !ok || !more || n < 0 {
		return left{}, fault.Errorf(fault.Invalid, "the number %q for storage of a container that is gone: %q", number, text)
	}
	return left{uint32(project), n, team, layers}, nil
}

// clearLeft gives back the numbers that no file bears any more. quota is held.
func (a *Agent) clearLeft() error {
	var all []error
	for number, t := range a.claimed(kindLeft) {
		l, err := parseLeft(number, t.Team)
		if err == nil && l.layers != "" {
			err = a.config.Unused(l.layers, l.project)
		}
		switch {
		case err == nil:
			err = a.Disown(kindLeft, number)
		case fault.Is(err, fault.Conflict), errors.Is(err, fs.ErrNotExist): // files are left, or nobody can see whether
			err = nil
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// freeProject returns the lowest number that no container has. A container keeps
// its own as long as it is remembered: what it wrote stays counted under it. So
// does one that is gone, as long as its files are not. quota is held.
func (a *Agent) freeProject() (uint32, error) {
	taken := map[uint32]bool{}
	for _, c := range a.allContainers() {
		taken[c.Project] = true
	}
	for number, t := range a.claimed(kindLeft) {
		l, err := parseLeft(number, t.Team)
		if err != nil {
			return 0, err
		}
		taken[l.project] = true
	}
	n := uint32(firstProject)
	for taken[n] {
		n++
	}
	return n, nil
}

func (a *Agent) teamProject(team string) (uint32, error) {
	all := a.claimed(kindProject)
	highest := uint32(firstTeamProject)
	for name, t := range all {
		n, err := strconv.ParseUint(t.Team, 10, 32)
		if err != nil || n < firstTeamProject || n >= firstProject {
			return 0, fault.Errorf(fault.Invalid, "the number for storage of team %q is %q", name, t.Team)
		}
		if name == team {
			return uint32(n), nil
		}
		highest = max(highest, uint32(n))
	}
	n := highest + 1
	return n, a.Claim(kindProject, team, strconv.FormatUint(uint64(n), 10))
}
