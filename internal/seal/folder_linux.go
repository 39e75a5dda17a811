package seal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// Names in a container's folder.
const (
	lockFile   = "lock"
	stateFile  = "state.json"
	bundle     = "bundle"
	writable   = "rw"
	imageFile  = "storage.img"
	runtimeLog = "runtime.log"
)

const maxState = 1 << 16 // bytes

// pidFile is where the runtime writes the ID of a container's first process. By
// then the process runs and may have filled the disk that the folder of state is
// on, so it lies in memory.
func pidFile(id string) string { return filepath.Join(filepath.Dir(buildDir), id+".pid") }

// state is what a successor must know of a container whose Runner died.
type state struct {
	Team    string `json:"team"`
	Storage int64  `json:"storage"` // bytes of its limit
}

// container is one that this process runs: while it holds the lock, nobody else
// takes the folder for a dead one's.
type container struct {
	id, home string
	lock     *durable.Lock
	state    state
}

func (r *Runner) containers() string { return filepath.Join(r.config.Data, "containers") }

// begin puts dead containers away and makes the folder of a new one. It is done
// under one lock of the host, so that a folder without a holder is a dead one,
// and a team's storage is counted right.
func (r *Runner) begin(ctx context.Context, req *Request) (c *container, err error) {
	if err := os.MkdirAll(r.containers(), 0o700); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	lock, err := durable.Acquire(ctx, filepath.Join(r.config.Data, "containers.lock"))
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if err := r.collect(ctx); err != nil {
		return nil, err
	}
	if err := r.room(req); err != nil {
		return nil, err
	}
	c, err = r.newContainer(state{Team: req.Team, Storage: req.Profile.Storage})
	if err != nil {
		return nil, err
	}
	if err := r.cgroups.Prepare(req.Team, c.id, req.Profile.Total, req.Profile.IOWeight != 0); err != nil {
		return nil, errors.Join(err, r.end(ctx, c))
	}
	return c, nil
}

func (r *Runner) newContainer(s state) (*container, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	c := &container{id: hex.EncodeToString(id), state: s}
	c.home = filepath.Join(r.containers(), c.id)
	for _, dir := range []string{c.home, filepath.Join(c.home, bundle), filepath.Join(c.home, writable)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
	}
	lock, err := durable.TryAcquire(filepath.Join(c.home, lockFile))
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	c.lock = lock
	b, err := json.Marshal(s)
	if err == nil {
		err = durable.WriteFile(filepath.Join(c.home, stateFile), b, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fault.As(fault.Unavailable, err), os.RemoveAll(c.home), lock.Release())
	}
	return c, nil
}

// room refuses a container whose storage would not fit into its team's.
func (r *Runner) room(req *Request) error {
	total := req.Profile.Total.Storage
	if total == 0 {
		return nil
	}
	used, names := req.Profile.Storage, 0
	homes, err := filepath.Glob(filepath.Join(r.containers(), "*"))
	if err != nil {
		return err
	}
	for _, home := range homes {
		if s, err := readState(home); err == nil && s.Team == req.Team {
			used += s.Storage
			names++
		}
	}
	if used > total {
		return fault.Errorf(fault.Denied, "team %q may use %d bytes of storage; with its %d containers this one would make it %d", req.Team, total, names, used)
	}
	return nil
}

func readState(home string) (state, error) {
	b, err := durable.ReadFile(filepath.Join(home, stateFile), maxState)
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil || !protocol.ValidTeam(s.Team) {
		return state{}, fault.Errorf(fault.Invalid, "%q is damaged", filepath.Join(home, stateFile))
	}
	return s, nil
}

// Collect puts away what killed Runners left: processes, control groups, user
// IDs, folders.
func (r *Runner) Collect(ctx context.Context) (err error) {
	if _, err := os.Stat(r.containers()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := durable.Acquire(ctx, filepath.Join(r.config.Data, "containers.lock"))
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	return r.collect(ctx)
}

func (r *Runner) collect(ctx context.Context) error {
	homes, err := os.ReadDir(r.containers())
	if err != nil {
		return err
	}
	for _, entry := range homes {
		home := filepath.Join(r.containers(), entry.Name())
		lock, err := durable.TryAcquire(filepath.Join(home, lockFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue // its Runner removed it just now
		}
		if err != nil {
			return fmt.Errorf("look after container %q: %w", entry.Name(), err)
		}
		if lock == nil {
			continue // it lives
		}
		if err := r.putAway(ctx, &container{id: entry.Name(), home: home, lock: lock}); err != nil && ctx.Err() != nil {
			return fmt.Errorf("put away dead container %q: %w", entry.Name(), err)
		} else if err != nil {
			r.config.Warn(fmt.Errorf("put away dead container %q: %w", entry.Name(), err))
		}
	}
	return nil
}

// patience is how long a run waits for a dead container to be put away.
const patience = 5 * time.Second

// putAway ends a dead container. One that cannot be ended keeps its IDs and its
// folder, and does not keep others from running.
func (r *Runner) putAway(ctx context.Context, c *container) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.state, err = readState(c.home); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, c.lock.Release())
	}
	return r.end(ctx, c)
}

// end puts a container away: its processes first; then what it wrote, because a
// disk that it filled has no room for the rest; its IDs when nothing has them any
// more, and its folder last, because that is what a successor would find.
func (r *Runner) end(ctx context.Context, c *container) (err error) {
	defer func() { err = errors.Join(err, c.lock.Release()) }()
	if c.state.Team != "" {
		if err := r.cgroups.Kill(ctx, c.state.Team, c.id); err != nil {
			return err
		}
		if err := r.cgroups.Remove(c.state.Team, c.id); err != nil {
			return err
		}
	}
	if err := os.Remove(pidFile(c.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := removeTree(filepath.Join(c.home, writable)); err != nil {
		return err
	}
	if err := ignore(unix.Unlink(filepath.Join(c.home, imageFile)), unix.ENOENT); err != nil {
		return fmt.Errorf("remove storage: %w", err)
	}
	if err := r.config.IDs.Free(ctx, c.id); err != nil {
		return err
	}
	return removeTree(c.home)
}
