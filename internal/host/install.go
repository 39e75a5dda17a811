//go:build linux

package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"plimsoll/internal/fault"
)

// Install makes the changes of a plan; now says to make them take effect, which
// restarts the engine. A plan with obstacles is a Conflict. If a change fails,
// those before it are undone.
func (h Host) Install(ctx context.Context, p *Plan, now bool) error {
	if len(p.Obstacles) > 0 {
		return fault.Hint(fault.Errorf(fault.Conflict, "%s", p.Obstacles[0].Text), "%s", p.Obstacles[0].Hint)
	}
	j, err := h.prepare(p)
	if err != nil {
		return err
	}
	byPath := map[string]*Change{}
	for i := range p.Changes {
		byPath[p.Changes[i].Path] = &p.Changes[i]
	}
	for _, e := range j.Entries {
		if err = ctx.Err(); err == nil {
			err = h.apply(e, byPath[e.Path])
		}
		if err != nil {
			_, undone := h.undoAll(j)
			return errors.Join(err, undone)
		}
	}
	j.State = installed
	if err := h.writeJournal(j); err != nil {
		return fault.As(fault.Unavailable, err)
	}
	if !now {
		return nil
	}
	return h.run(ctx, p.commands)
}

// Commands returns what makes an installation take effect.
func (p *Plan) Commands() [][]string { return p.commands }

func (h Host) run(ctx context.Context, commands [][]string) error {
	for _, c := range commands {
		if err := h.command(ctx, c[0], c[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// Removal is what an uninstallation would do or has done.
type Removal struct {
	Paths    []string   `json:"paths"`    // that become what they were
	Sealed   []string   `json:"sealed"`   // containers that will not start any more
	Left     []string   `json:"left"`     // what could not be undone, in words
	Commands [][]string `json:"commands"` // that make it take effect
}

// Removal says what [Host.Uninstall] would do; NotFound if nothing is installed.
func (h Host) Removal() (*Removal, error) {
	j, err := h.journal()
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, fault.Errorf(fault.NotFound, "the guard is not installed")
	}
	s, _ := h.survey()
	r := &Removal{Paths: []string{}, Sealed: slices.Concat([]string{}, s.sealed), Left: []string{}, Commands: slices.Concat([][]string{}, j.Undo)}
	for _, e := range j.Entries {
		r.Paths = append(r.Paths, e.Path)
	}
	return r, nil
}

// Uninstall undoes an installation, a finished one or one that was cut short; now
// says to make that take effect. What could not be undone is said in the result.
func (h Host) Uninstall(ctx context.Context, now bool) (*Removal, error) {
	r, err := h.Removal()
	if err != nil {
		return nil, err
	}
	j, err := h.journal()
	if err != nil {
		return nil, err
	}
	j.State = removing
	if err := h.writeJournal(j); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	if now && len(j.Undo) > 0 { // first stop what reads the files
		if err := h.run(ctx, j.Undo[:1]); err != nil {
			return nil, err
		}
	}
	left, err := h.undoAll(j)
	if err != nil {
		return nil, err
	}
	r.Left = append(r.Left, left...)
	if now && len(j.Undo) > 0 {
		return r, h.run(ctx, j.Undo[1:])
	}
	return r, nil
}

// undoAll undoes every change, the last first, and then removes the journal.
func (h Host) undoAll(j *journal) (left []string, err error) {
	for _, e := range slices.Backward(j.Entries) {
		text, err := h.undo(e)
		if err != nil {
			return left, err
		}
		if text != "" {
			left = append(left, text)
		}
	}
	backups, err := filepath.Glob(h.at(filepath.Join(journalFolder, "*.before")))
	if err != nil {
		return left, fault.As(fault.Internal, err)
	}
	for _, b := range backups {
		if err := os.Remove(b); err != nil {
			return left, fault.As(fault.Unavailable, err)
		}
	}
	if err := os.Remove(h.at(journalFile)); err != nil && !absent(err) {
		return left, fault.As(fault.Unavailable, err)
	}
	for _, dir := range slices.Backward(j.Folders) {
		if err := os.Remove(h.at(dir)); err != nil && !absent(err) && !errors.Is(err, syscall.ENOTEMPTY) {
			return left, fault.As(fault.Unavailable, err)
		}
	}
	return left, nil
}
