package agent

import (
	"context"
	"net"
	"sync"
	"time"

	"plimsoll/internal/gate"
	"plimsoll/internal/idmap"
	"plimsoll/internal/image"
	"plimsoll/internal/policy"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// Ranges gives out IDs (the host's one table, see package store).
type Ranges interface {
	Take(ctx context.Context, holder string) (idmap.Range, error)
	Team(ctx context.Context, name string) (idmap.Range, error)
	Free(ctx context.Context, holder string) error
	Containers(ctx context.Context) (map[string]idmap.Range, error)
}

// Gate decides and records (package gate).
type Gate interface {
	Decide(ctx context.Context, q gate.Request) (gate.Answer, error)
	Admit(q gate.Request) ([]verdict.Reason, *profile.Profile)
	Conclude(ctx context.Context, d *verdict.Decision) error
}

// Law is the policy that holds now, nil if none can be read, and a gate over it.
type Law struct {
	Policy *policy.Document
	Gate   Gate
}

// Slices bounds what all containers of a slice of systemd's take together. A share
// of 0 takes an earlier limit away.
type Slices interface {
	Limit(ctx context.Context, slice string, total profile.Share) error
}

// Config is what an agent needs. Memory, Ranges and Law must be set.
type Config struct {
	Memory *Memory
	Ranges Ranges
	// Law is asked for every answer: the policy may have changed.
	Law func() Law
	// Cache is for how long an answer may be repeated; 0 means five minutes.
	Cache time.Duration
	// Docker is the folder of the Docker engine's state and Containerd that of
	// containerd; "" if the host has none. Systemd says that the Docker engine
	// lets systemd make its cgroups.
	Docker, Containerd string
	Podman             image.Podman // without a Root there is none
	Systemd            bool
	// Slices is told the totals of teams whose containers systemd makes cgroups for;
	// nil: such containers are refused if the team has totals.
	Slices Slices
	// Protected are paths that no container may mount, clean and absolute.
	Protected []string
	// Layers returns where the layers of an image are read whose manifest and
	// config are kept, by a name as package image parses it. Containers that start
	// never cause it to be called. nil: they are not read.
	Layers   func(ctx context.Context, name string) (image.Blobs, error)
	Resolver Resolver         // nil: the host's
	Now      func() time.Time // nil: the machine's clock
	Warn     func(error)      // told what went wrong and did not change an answer; may be called concurrently
	// InUse reports whether a process runs with IDs of r; nil looks in /proc.
	InUse func(r idmap.Range) (bool, error)
	// Unused returns nil if no file on the file system of path bears the number
	// project, and a Conflict if one does; nil asks the file system.
	Unused func(path string, project uint32) error
}

// Agent is the guard's memory with what it answers. It may be used concurrently.
type Agent struct {
	*Memory
	config Config
	docker docker
	builds builds

	mu    sync.Mutex
	cache map[question]answer
	made  map[string]answer          // decisions that allowed, by ID, as long as they may be repeated
	busy  map[question]chan struct{} // closed when nobody looks any more
	turns map[string]*sync.Mutex     // of holders of IDs
	held  map[string]int             // how many wait for or have a turn

	quota    sync.Mutex // storage is given out one at a time
	lastTurn uint64     // under quota

	began   time.Time
	granted map[string]time.Time // when IDs were last given to a holder
}

// question is what an answer is kept under.
type question struct {
	environment, team, image string
	config, policy           ref.Digest
	action                   string
}

// answer is what may be repeated.
type answer struct {
	Seen
	image  string
	config ref.Digest // what the engine held, "" if nobody said
	team   string
}

// New returns an agent.
func New(c Config) *Agent {
	if c.Cache <= 0 {
		c.Cache = 5 * time.Minute
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Warn == nil {
		c.Warn = func(error) {}
	}
	if c.InUse == nil {
		c.InUse = inUse
	}
	if c.Unused == nil {
		c.Unused = unused
	}
	return &Agent{
		Memory: c.Memory, config: c, docker: docker{c.Docker}, cache: map[question]answer{}, made: map[string]answer{},
		began: c.Now(), granted: map[string]time.Time{},
		busy: map[question]chan struct{}{}, turns: map[string]*sync.Mutex{}, held: map[string]int{},
	}
}

// turn keeps others who ask about the same container out until done is called.
func (a *Agent) turn(holder string) (done func()) {
	a.mu.Lock()
	l := a.turns[holder]
	if l == nil {
		l = &sync.Mutex{}
		a.turns[holder] = l
	}
	a.held[holder]++
	a.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.held[holder]--; a.held[holder] == 0 {
			delete(a.turns, holder)
			delete(a.held, holder)
		}
	}
}

// environment returns the host's.
func (l Law) environment() string {
	if l.Policy == nil || l.Policy.Host == nil {
		return ""
	}
	return l.Policy.Host.Environment
}

// hash returns the policy's, "" if there is none.
func (l Law) hash() ref.Digest {
	if l.Policy == nil {
		return ""
	}
	return l.Policy.Hash()
}

// Teams returns the names of the teams that the caller belongs to, sorted.
func (a *Agent) Teams(c policy.Caller) []string {
	if l := a.config.Law(); l.Policy != nil {
		return l.Policy.TeamsOf(c)
	}
	return nil
}

// Admit returns what the team's containers get if the caller, who is called who in
// the record, may do action for it. What is refused is recorded and Denied.
func (a *Agent) Admit(ctx context.Context, door, team, action, who string, c policy.Caller) (*profile.Profile, error) {
	l := a.config.Law()
	reasons, p := l.Gate.Admit(gate.Request{Team: team, Action: action, Member: c, Caller: who, Door: door})
	if p != nil {
		return p, nil
	}
	d := &verdict.Decision{Door: door, Environment: l.environment(), Team: team, Caller: who, Reasons: reasons}
	if err := l.Gate.Conclude(ctx, d); err != nil {
		return nil, err
	}
	return nil, denied(d)
}

// Record writes a decision that is not about an image. Its outcome is that of its
// reasons; it is an error if it cannot be written.
func (a *Agent) Record(ctx context.Context, d *verdict.Decision) error {
	l := a.config.Law()
	d.Environment = l.environment()
	if err := l.Gate.Conclude(ctx, d); err != nil {
		return err
	}
	if d.Receipt == nil {
		return denied(d)
	}
	return nil
}

// Building remembers a build and returns the cgroup parent that its steps must
// have. done forgets it.
func (a *Agent) Building(b Build) (parent string, done func(), err error) {
	return a.builds.add(b, a.config.Systemd)
}
