//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
)

// The labels by which a container says who it is. Nothing but this guard, which
// stands in for the product's, believes labels: here the runtime alone is tried.
const (
	teamLabel    = "battery.team"
	profileLabel = "battery.profile"
)

// guard grants whatever is asked for a container the profile that its label
// names: what an engine asks for must come out harmless by the runtime alone.
type guard struct {
	socket   string
	data     string // of the engine
	teams    []string
	profiles map[string]profile.Profile

	listener net.Listener
	wait     sync.WaitGroup

	mu    sync.Mutex
	taken map[uint32]bool
	ids   map[string]idmap.Range
	asked []protocol.Question
}

// serve listens until close.
func (g *guard) serve() error {
	g.taken, g.ids = map[uint32]bool{}, map[string]idmap.Range{}
	if err := os.MkdirAll(filepath.Dir(g.socket), 0o700); err != nil {
		return fmt.Errorf("make folder of guard: %w", err)
	}
	l, err := net.Listen("unix", g.socket) //nolint:noctx // closed by close
	if err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	g.listener = l
	if err := os.Chmod(g.socket, 0o600); err != nil {
		return fmt.Errorf("start guard: %w", err)
	}
	g.wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.wait.Go(func() {
				defer c.Close()
				if err := g.answer(c); err != nil {
					fmt.Fprintln(os.Stderr, "guard:", err)
				}
			})
		}
	})
	return nil
}

func (g *guard) close() error {
	if g == nil || g.listener == nil {
		return nil
	}
	err := g.listener.Close()
	g.wait.Wait()
	return err
}

func (g *guard) answer(c net.Conn) error {
	var q protocol.Question
	if err := protocol.Read(c, &q); err != nil {
		return err
	}
	a := protocol.Answer{Version: protocol.Version}
	grant, err := g.grant(q)
	if err != nil {
		a.Kind, a.Error, a.Hint = fault.KindOf(err), err.Error(), fault.HintOf(err)
	}
	a.Grant = grant
	return protocol.Write(c, a)
}

// grant looks a container up where the engine keeps it. What is gone gets nothing.
func (g *guard) grant(q protocol.Question) (*protocol.Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, q)
	if q.Verb == protocol.Deleted {
		delete(g.taken, g.ids[q.ID].Base)
		delete(g.ids, q.ID)
		return nil, nil
	}
	record, err := g.record(q.ID)
	if err != nil {
		return nil, err
	}
	team, ok := record.Config.Labels[teamLabel]
	if !ok {
		team = g.teams[0]
	}
	name := record.Config.Labels[profileLabel]
	p, ok := g.profiles[name]
	at := slices.Index(g.teams, team)
	if !ok || at < 0 {
		return nil, fault.Errorf(fault.Denied, "container %s: team %q with profile %q is unknown", q.ID, team, name)
	}
	ids, ok := g.ids[q.ID]
	if !ok {
		if ids, err = idmap.Default.Lowest(g.taken); err != nil {
			return nil, err
		}
		g.taken[ids.Base], g.ids[q.ID] = true, ids
	}
	grant := &protocol.Grant{
		Team: team, Decision: "battery", Profile: p, IDs: ids, Disk: disk(at),
		Own: g.own(q.ID), VolumeRoots: []string{filepath.Join(g.data, "volumes")},
	}
	for _, m := range record.MountPoints {
		if m.Type == "volume" {
			grant.VolumeNames = append(grant.VolumeNames, m.Name)
		}
	}
	return grant, nil
}

// own are the folders of a container's engine: docker's, and podman's two.
func (g *guard) own(id string) []string {
	return []string{
		filepath.Join(g.data, "containers", id),
		filepath.Join(podmanRun, "overlay-containers", id, "userdata"),
		filepath.Join(filepath.Dir(g.data), "podman", "overlay-containers", id, "userdata"),
	}
}

// podmanRun is where podman keeps what does not outlive the host's boot.
const podmanRun = "/run/podman"

// disk returns the owner of the files of the i-th team.
func disk(i int) idmap.Range { return idmap.Default.Slot(idmap.Default.Slots() - 1 - i) }

// record is what an engine writes about a container.
type record struct {
	Config struct {
		Labels map[string]string
	}
	MountPoints map[string]struct{ Name, Type string }
}

func (g *guard) record(id string) (*record, error) {
	r := new(record)
	if !protocol.ValidID(id) {
		return nil, fault.Errorf(fault.Invalid, "container %q: no ID", id)
	}
	text, err := os.ReadFile(filepath.Join(g.data, "containers", id, "config.v2.json"))
	switch {
	case errors.Is(err, unix.ENOENT): // of containerd or podman
		return r, nil
	case err != nil:
		return nil, fmt.Errorf("read record: %w", err)
	}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read record of %s: %w", id, err)
	}
	return r, nil
}
