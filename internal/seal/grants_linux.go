package seal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// Grants is the folder in which the runtime keeps what engines' containers were
// granted: one folder for each, so that what joins a container later gets the same
// whether or not the guard answers.
type Grants struct{ Folder string }

// Sealed is a container that was made for an engine.
type Sealed struct {
	ID      string         `json:"id"`
	State   string         `json:"state"` // the runtime's --root
	Runtime Backend        `json:"runtime"`
	Grant   protocol.Grant `json:"grant"`
	Users   uint64         `json:"users"` // number of its user namespace (namespaces(7), inode)
}

// Held is a container's folder, locked by whoever makes or removes the container.
type Held struct {
	Path string
	lock *durable.Lock
}

const (
	grantFile = "grant.json"
	maxGrant  = 2 << 20 // bytes
)

// Open makes the folder of grants if needed, and the one above it, which
// tmpfiles makes at boot. One that others than root could reach is refused, and
// so is one above it that others could write to.
func (g Grants) Open() error {
	if err := openAbove(filepath.Dir(g.Folder)); err != nil {
		return err
	}
	if err := os.Mkdir(g.Folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.As(fault.Unavailable, fmt.Errorf("folder of grants: %w", err))
	}
	var st unix.Stat_t
	if err := unix.Lstat(g.Folder, &st); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("folder of grants: %w", err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 || st.Mode&0o077 != 0 {
		return fault.Errorf(fault.Denied, "folder of grants: %q is not a folder that only root can reach", g.Folder)
	}
	return nil
}

// openAbove makes the folder above that of the grants, for all to pass through.
func openAbove(dir string) error {
	err := os.Mkdir(dir, 0o711) //nolint:gosec // sockets of teams lie below it
	if err == nil {
		err = os.Chmod(dir, 0o711) //nolint:gosec // as above
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.As(fault.Unavailable, fmt.Errorf("folder above the grants: %w", err))
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("folder above the grants: %w", err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 || st.Mode&0o022 != 0 {
		return fault.Errorf(fault.Denied, "folder above the grants: %q is not a folder that only root can write to", dir)
	}
	return nil
}

// Path returns the folder of the container id in the runtime's folder of state.
func (g Grants) Path(state, id string) string {
	return filepath.Join(g.Folder, statePrefix(state)+id)
}

func statePrefix(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:8]) + "-"
}

// Hold makes and locks the folder of a container that is to be made, empty. If
// another call has it, or the container exists, the error is a Conflict. What
// calls left that were killed is put away, of all containers of the same state.
func (g Grants) Hold(state, id string) (*Held, error) {
	if err := g.Sweep(state); err != nil {
		return nil, err
	}
	h := &Held{Path: g.Path(state, id)}
	if err := os.Mkdir(h.Path, 0o700); errors.Is(err, fs.ErrExist) {
		return nil, fault.Errorf(fault.Conflict, "a container with the ID %q exists", id)
	} else if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	var err error
	if h.lock, err = durable.TryAcquire(filepath.Join(h.Path, lockFile)); err != nil || h.lock == nil {
		return nil, fault.Errorf(fault.Conflict, "container %q is being removed", id) // by whoever found its folder without a lock
	}
	return h, nil
}

// Lock locks the folder of a container that exists; it returns nil if there is
// none. It waits for others until ctx ends.
func (g Grants) Lock(ctx context.Context, state, id string) (*Held, error) {
	h := &Held{Path: g.Path(state, id)}
	if _, err := os.Lstat(h.Path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lock, err := durable.Acquire(ctx, filepath.Join(h.Path, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("wait for container %q: %w", id, err))
	}
	h.lock = lock
	return h, nil
}

// Keep writes what the container was granted.
func (h *Held) Keep(s Sealed) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return h.Write(grantFile, b)
}

// Write writes a file of the container's folder, which a crash of the host takes
// with it.
func (h *Held) Write(name string, b []byte) error {
	path := filepath.Join(h.Path, name)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fault.As(fault.Unavailable, err)
	}
	return fault.As(fault.Unavailable, os.Rename(path+".new", path))
}

// Release lets go of the folder, Remove takes it away as well.
func (h *Held) Release() error { return h.lock.Release() }

// Remove forgets the container.
func (h *Held) Remove() error { return errors.Join(removeTree(h.Path), h.lock.Release()) }

// Find returns what the container id was granted. If there is nothing, the error
// is NotFound.
func (g Grants) Find(state, id string) (*Sealed, error) {
	s, err := readSealed(g.Path(state, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Errorf(fault.NotFound, "container %q is none that was sealed here", id)
	}
	if err == nil && (s.ID != id || s.State != state) {
		return nil, fault.Errorf(fault.Invalid, "the grant of container %q is another's", id)
	}
	return s, err
}

func readSealed(dir string) (*Sealed, error) {
	b, err := durable.ReadFile(filepath.Join(dir, grantFile), maxGrant)
	if err != nil {
		return nil, err
	}
	s := new(Sealed)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fault.As(fault.Invalid, fmt.Errorf("grant in %q: %w", dir, err))
	}
	if err := s.Grant.Validate(); err != nil {
		return nil, fmt.Errorf("grant in %q: %w", dir, err)
	}
	return s, nil
}

// Sweep puts away the folders of containers that the runtime does not know and
// nobody is making or removing: whoever did was killed.
func (g Grants) Sweep(state string) error {
	entries, err := os.ReadDir(g.Folder)
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	for _, e := range entries {
		id, ok := strings.CutPrefix(e.Name(), statePrefix(state))
		if !ok || Known(state, id) {
			continue
		}
		lock, err := durable.TryAcquire(filepath.Join(g.Folder, e.Name(), lockFile))
		if err != nil || lock == nil {
			continue // it was removed just now, or is being made
		}
		if Known(state, id) { // made between the two looks
			err = lock.Release()
		} else {
			err = (&Held{filepath.Join(g.Folder, e.Name()), lock}).putAway(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SweepAll is Sweep for the containers of all runtimes' folders of state. Folders
// that do not say whose they are stay until a container of the same state is made.
func (g Grants) SweepAll() error {
	entries, err := os.ReadDir(g.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	states := map[string]bool{}
	for _, e := range entries {
		if s, err := readSealed(filepath.Join(g.Folder, e.Name())); err == nil && filepath.IsAbs(s.State) {
			states[s.State] = true
		}
	}
	var all []error
	for state := range states {
		all = append(all, g.Sweep(state))
	}
	return errors.Join(all...)
}

func (h *Held) putAway(id string) error {
	s, err := readSealed(h.Path)
	if err == nil {
		cgroups, cgroupErr := FindCgroups()
		if cgroupErr != nil {
			return errors.Join(cgroupErr, h.Release())
		}
		err = cgroups.Remove(s.Grant.Team, id)
	}
	if errors.Is(err, unix.EBUSY) { // something still runs in it
		return h.Release()
	}
	return h.Remove()
}

// Known reports whether the runtime has a container in its folder of state.
func Known(state, id string) bool {
	_, err := os.Lstat(filepath.Join(state, id))
	return err == nil
}

// Gone reports whether neither the runtime nor this folder has anything of the
// container id.
func (g Grants) Gone(state, id string) bool {
	_, err := os.Lstat(g.Path(state, id))
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Lstat(filepath.Join(state, id))
	return errors.Is(err, fs.ErrNotExist)
}

// ofUsers returns the containers in the user namespace that has the given
// number and owner.
func (g Grants) ofUsers(number uint64, owner uint32) ([]*Sealed, error) {
	entries, err := os.ReadDir(g.Folder)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	var all []*Sealed
	for _, e := range entries {
		s, err := readSealed(filepath.Join(g.Folder, e.Name()))
		if err == nil && s.Users == number && s.Grant.IDs.Base == owner && Known(s.State, s.ID) {
			all = append(all, s)
		}
	}
	return all, nil
}
