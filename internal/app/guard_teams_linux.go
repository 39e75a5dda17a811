package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"plimsoll/internal/fault"
)

// teamsEvery is how often the sockets of teams are compared with the policy's
// teams.
const teamsEvery = 5 * time.Second

// teamDoors are the sockets that name a team: whoever connects acts for it, and
// is refused if not its member. Anybody can connect, since a policy's members are
// not the members of a group of the host; who it is says the kernel.
type teamDoors struct {
	*serving
	ended sync.WaitGroup
	open  map[string]*teamDoor
}

type teamDoor struct {
	net.Listener
	stop context.CancelFunc
}

func newTeamDoors(d *serving) *teamDoors { return &teamDoors{serving: d, open: map[string]*teamDoor{}} }

// TeamSocket is the socket that names the team, below run.
func TeamSocket(run, team string) string { return filepath.Join(run, "teams", team, "docker.sock") }

// follow follows the policy until ctx ends, which ends every connection.
func (t *teamDoors) follow(ctx context.Context) error {
	defer t.ended.Wait()
	tick := time.NewTicker(teamsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := t.sync(ctx); err != nil && ctx.Err() == nil {
				t.serve.Log.ErrorContext(ctx, "sockets of teams", slog.Any("err", err))
			}
		}
	}
}

// sync opens the sockets of teams that are new and closes those of teams that are
// gone. While there is no policy that can be read everything stays as it is.
func (t *teamDoors) sync(ctx context.Context) error {
	teams := map[string]bool{}
	p := t.laws.now().Policy
	if p == nil { // nobody is let in by any door; connections go on
		return nil
	}
	for name := range p.Teams {
		teams[name] = true
	}
	var all []error
	for _, name := range slices.Sorted(maps.Keys(teams)) {
		if t.open[name] == nil {
			all = append(all, t.add(ctx, name))
		}
	}
	for name, door := range t.open {
		if !teams[name] {
			door.stop()
			delete(t.open, name)
			all = append(all, os.RemoveAll(filepath.Dir(TeamSocket(t.serve.Run, name))))
		}
	}
	return errors.Join(all...)
}

func (t *teamDoors) add(ctx context.Context, name string) error {
	path := TeamSocket(t.serve.Run, name)
	if err := os.Mkdir(filepath.Dir(path), 0o711); err != nil && !errors.Is(err, os.ErrExist) { // #nosec G301 -- people pass through
		return fault.As(fault.Unavailable, err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o711); err != nil { // #nosec G302 -- people pass through
		return fault.As(fault.Unavailable, err)
	}
	l, err := listenPublic(ctx, path, "")
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o666); err != nil { // #nosec G302 -- who connects is asked of the kernel
		return errors.Join(fault.As(fault.Unavailable, err), l.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	t.open[name] = &teamDoor{Listener: l, stop: stop}
	t.ended.Go(func() {
		if err := t.proxy.Serve(ctx, l, name); err != nil {
			t.serve.Log.ErrorContext(ctx, "socket of team "+name, slog.Any("err", err))
		}
	})
	return nil
}
