//go:build linux

package host

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
)

// kind is what is at a path.
type kind string

const (
	none   kind = "none"
	file   kind = "file"
	link   kind = "link"
	folder kind = "folder"
	other  kind = "other"
)

// thing is what is, or was, at a path of the host.
type thing struct {
	Kind   kind        `json:"kind"`
	Hash   string      `json:"hash,omitempty"` // SHA-256 of a file
	Target string      `json:"target,omitempty"`
	Mode   fs.FileMode `json:"mode,omitempty"`
	UID    int         `json:"uid,omitempty"`
	GID    int         `json:"gid,omitempty"`
	Time   time.Time   `json:"time,omitzero"` // of a file's last change
}

// same reports whether two things have the same content.
func (t thing) same(o thing) bool {
	return t.Kind == o.Kind && t.Hash == o.Hash && t.Target == o.Target
}

// entry is one change in the journal.
type entry struct {
	Path   string `json:"path"`
	Before thing  `json:"before"`
	Backup string `json:"backup,omitempty"` // the file's name in the journal's folder
	After  thing  `json:"after"`
}

// journal is what was changed on a host, or is about to be.
type journal struct {
	Version int        `json:"version"`
	State   string     `json:"state"`
	Entries []entry    `json:"entries"`
	Undo    [][]string `json:"undo,omitempty"` // commands that make undoing take effect
	Folders []string   `json:"folders,omitempty"`
}

// The states of a journal.
const (
	installing = "installing"
	installed  = "installed"
	removing   = "removing"
)

const (
	journalVersion = 1
	journalFolder  = "/var/lib/plimsoll/guard"
	journalFile    = journalFolder + "/install.json"
)

// journal returns what is written down, nil if nothing is.
func (h Host) journal() (*journal, error) {
	b, err := h.read(journalFile)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	j := new(journal)
	if err := json.Unmarshal(b, j); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%s: %w", journalFile, err)
	}
	if j.Version != journalVersion {
		return nil, fault.Hint(fault.Errorf(fault.Invalid, "%s is of version %d", journalFile, j.Version), "use the release of plimsoll that installed the guard")
	}
	return j, nil
}

func (h Host) writeJournal(j *journal) error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(h.at(journalFile), append(b, '\n'), 0o600)
}

// look returns what is at path.
func (h Host) look(path string) (thing, error) {
	info, err := os.Lstat(h.at(path))
	if absent(err) {
		return thing{Kind: none}, nil
	}
	if err != nil {
		return thing{}, fault.As(fault.Unavailable, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return thing{}, fault.Errorf(fault.Internal, "%q has no owner", path)
	}
	t := thing{Kind: other, Mode: info.Mode().Perm(), UID: int(st.Uid), GID: int(st.Gid)}
	switch {
	case info.IsDir():
		t.Kind = folder
	case info.Mode().Type() == fs.ModeSymlink:
		t.Kind = link
		t.Target, err = os.Readlink(h.at(path))
	case info.Mode().IsRegular():
		var b []byte
		t.Kind, t.Time = file, info.ModTime()
		b, err = durable.ReadFile(h.at(path), maxBinary)
		t.Hash = hash(b)
	}
	return t, fault.As(fault.Unavailable, err)
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// after returns what a change leaves.
func (c Change) after() thing {
	switch c.kind {
	case file:
		return thing{Kind: file, Hash: hash(c.content), Mode: c.mode}
	case link:
		return thing{Kind: link, Target: c.target}
	case folder, none, other:
	}
	return thing{Kind: folder, Mode: 0o755}
}

// prepare writes down what will be changed and keeps what is there. Folders that
// are missing become changes of their own.
func (h Host) prepare(p *Plan) (*journal, error) {
	j := &journal{Version: journalVersion, State: installing, Undo: p.undo}
	var err error
	if j.Folders, err = h.makeFolder(journalFolder); err != nil {
		return nil, err
	}
	if err := h.writeJournal(j); err != nil { // the folders are ours
		return nil, fault.As(fault.Unavailable, err)
	}
	planned := map[string]bool{}
	for i, c := range p.Changes {
		for _, dir := range h.missing(filepath.Dir(c.Path)) {
			if !planned[dir] {
				planned[dir] = true
				j.Entries = append(j.Entries, entry{Path: dir, Before: thing{Kind: none}, After: thing{Kind: folder, Mode: 0o755}})
			}
		}
		e := entry{Path: c.Path, After: c.after()}
		if e.Before, err = h.look(c.Path); err != nil {
			return nil, err
		}
		if e.Before.Kind != none && e.Before.Kind != file && !e.Before.same(e.After) || e.Before.Kind == file && e.After.Kind != file {
			_, undone := h.undoAll(j)
			return nil, errors.Join(fault.Errorf(fault.Conflict, "something else is at %s", c.Path), undone)
		}
		if e.Before.Kind == file {
			e.Backup = strconv.Itoa(i) + ".before"
			b, err := durable.ReadFile(h.at(c.Path), maxBinary)
			if err == nil {
				err = durable.WriteFile(h.at(filepath.Join(journalFolder, e.Backup)), b, 0o600)
			}
			if err != nil {
				return nil, fault.As(fault.Unavailable, err)
			}
			if e.Before.Hash != hash(b) {
				return nil, fault.Errorf(fault.Conflict, "%s is being changed by somebody else", c.Path)
			}
		}
		j.Entries = append(j.Entries, e)
	}
	return j, fault.As(fault.Unavailable, h.writeJournal(j))
}

// missing returns the folders on the way to path that are not there, outermost
// first.
func (h Host) missing(path string) []string {
	if h.exists(path) || path == "/" {
		return nil
	}
	return append(h.missing(filepath.Dir(path)), path)
}

// makeFolder makes a folder and those above it and returns which were made.
func (h Host) makeFolder(path string) ([]string, error) {
	made := h.missing(path)
	for _, dir := range made {
		mode := fs.FileMode(0o755)
		if strings.HasPrefix(dir, "/var/lib/plimsoll") {
			mode = 0o700
		}
		if err := os.Mkdir(h.at(dir), mode); err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
	}
	return made, nil
}

// apply makes one change.
func (h Host) apply(e entry, c *Change) error {
	path := h.at(e.Path)
	switch e.After.Kind {
	case folder:
		if err := os.Mkdir(path, e.After.Mode); err != nil {
			return fault.As(fault.Unavailable, err)
		}
		return fault.As(fault.Unavailable, os.Chmod(path, e.After.Mode)) // whatever the umask is
	case link:
		if e.Before.Kind == link && e.Before.Target == e.After.Target {
			return nil
		}
		return fault.As(fault.Unavailable, os.Symlink(e.After.Target, path))
	case file, none, other:
	}
	now, err := h.look(e.Path)
	if err != nil {
		return err
	}
	if !now.same(e.Before) {
		return fault.Errorf(fault.Conflict, "%s is being changed by somebody else", e.Path)
	}
	err = durable.WriteFile(path, c.content, c.mode)
	if err == nil && e.Before.Kind == file {
		err = os.Chown(path, e.Before.UID, e.Before.GID)
	}
	return fault.As(fault.Unavailable, err)
}

// undo undoes one change and returns what it could not undo, "" if nothing. It may
// be called again after it was cut short.
func (h Host) undo(e entry) (left string, err error) {
	now, err := h.look(e.Path)
	if err != nil {
		return "", err
	}
	path := h.at(e.Path)
	switch {
	case now.same(e.Before) && now.Kind != folder:
		return "", h.restoreOwner(e) // never changed, or undone before
	case now.Kind == none:
		if e.Before.Kind == none {
			return "", nil
		}
		return fmt.Sprintf("%s was removed since; what it was is kept in %s", e.Path, h.setAside(e)), nil
	case e.After.Kind == folder:
		err := os.Remove(path)
		if errors.Is(err, syscall.ENOTEMPTY) {
			return e.Path + " is not empty", nil
		}
		return "", fault.As(fault.Unavailable, err)
	case now.Kind != file && now.Kind != link:
		return e.Path + " is neither what was installed nor what was there before", nil
	case e.Path == DaemonJSON && !now.same(e.After):
		return h.undoDaemon(e)
	case now.same(e.After) && e.Before.Kind == none, now.Kind == file && filepath.Dir(e.Path) == binaries && e.Before.Kind == none:
		return "", fault.As(fault.Unavailable, os.Remove(path))
	case now.same(e.After):
		return "", h.restore(e)
	}
	// Somebody has edited what is all ours. It is put where nothing reads it.
	aside := e.Path + ".edited"
	if err := os.Rename(path, h.at(aside)); err != nil {
		return "", fault.As(fault.Unavailable, err)
	}
	if e.Before.Kind == file {
		err = h.restore(e)
	}
	return fmt.Sprintf("%s was edited since; it is now %s", e.Path, aside), err
}

// setAside keeps a backup that nothing was put back from, and returns its path.
func (h Host) setAside(e entry) string {
	aside := e.Path + ".before-plimsoll"
	if b, err := h.backup(e); err == nil && !h.exists(aside) {
		if durable.WriteFile(h.at(aside), b, e.Before.Mode) == nil {
			return aside
		}
	}
	return filepath.Join(journalFolder, e.Backup)
}

// backup returns what was in a file.
func (h Host) backup(e entry) ([]byte, error) {
	b, err := durable.ReadFile(h.at(filepath.Join(journalFolder, e.Backup)), maxBinary)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	if hash(b) != e.Before.Hash {
		return nil, fault.Errorf(fault.Untrusted, "the backup of %s in %s was changed", e.Path, journalFolder)
	}
	return b, nil
}

// restore puts back what was in a file.
func (h Host) restore(e entry) error {
	b, err := h.backup(e)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(h.at(e.Path), b, e.Before.Mode); err != nil {
		return fault.As(fault.Unavailable, err)
	}
	return h.restoreOwner(e)
}

func (h Host) restoreOwner(e entry) error {
	if e.Before.Kind != file {
		return nil
	}
	path := h.at(e.Path)
	err := os.Chown(path, e.Before.UID, e.Before.GID)
	if err == nil {
		err = os.Chmod(path, e.Before.Mode)
	}
	if err == nil {
		err = os.Chtimes(path, time.Time{}, e.Before.Time)
	}
	return fault.As(fault.Unavailable, err)
}

// undoDaemon takes our members out of an engine's configuration that somebody has
// edited since.
func (h Host) undoDaemon(e entry) (left string, err error) {
	b, err := h.read(e.Path)
	if err != nil {
		return "", fault.As(fault.Unavailable, err)
	}
	var before []byte
	if e.Before.Kind == file {
		if before, err = h.backup(e); err != nil {
			return "", err
		}
	}
	undone, err := unpatchDaemon(b, before)
	if err != nil {
		return "", fault.Hint(fault.Errorf(fault.Invalid, "%s was edited since and cannot be read: %w", e.Path, err),
			`mend it, or remove the runtime, the default runtime and the authorization plugin "plimsoll" and the hosts entry from it, and try again`)
	}
	info, err := os.Stat(h.at(e.Path))
	if err != nil {
		return "", fault.As(fault.Unavailable, err)
	}
	if o, err := parseObject(undone); err == nil && len(o.keys) == 0 && e.Before.Kind == none {
		return "", fault.As(fault.Unavailable, os.Remove(h.at(e.Path)))
	}
	if !h.same(e.Path, undone) {
		err = durable.WriteFile(h.at(e.Path), undone, info.Mode().Perm())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = os.Chown(h.at(e.Path), int(st.Uid), int(st.Gid))
	}
	return e.Path + " was edited since; only what is ours was taken out", fault.As(fault.Unavailable, err)
}
