package engine

import (
	"context"

	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// Guard is what the proxy and the plugin ask and tell. Implementations are safe
// for concurrent use. An error that is of no kind is taken for a refusal.
type Guard interface {
	Teams
	Images
	Containers
	Things

	// Building remembers a build and returns the cgroup parent that its steps
	// must have. done forgets it and is called once, when the build has ended.
	Building(ctx context.Context, b Build) (parent string, done func(), err error)
	// Record writes an allow or a deny that is about no image (an exec, a volume,
	// a refused request) into the audit log. An allow that cannot be recorded is
	// not carried out.
	Record(ctx context.Context, d *verdict.Decision) error
}

// Teams knows who belongs where.
type Teams interface {
	// Teams returns the teams that the caller belongs to, sorted. Root gets all.
	Teams(c Caller) []string
	// Admit returns a copy of the team's profile if the caller may do the action
	// (one of the Action constants) for the team. If not it is Denied, and
	// recorded.
	Admit(ctx context.Context, team, action string, c Caller) (*profile.Profile, error)
}

// The actions that [Teams.Admit] and a [Question] name, as policies do.
const (
	ActionRun   = "run"   // create, start, attach to, stop, remove containers; pull images
	ActionExec  = "exec"  // a further process in a container that runs
	ActionLogs  = "logs"  // what a container has written
	ActionBuild = "build" // build, commit, import, load images
	ActionCopy  = "copy"  // files in and out of a container
)

// Images decides about images.
type Images interface {
	// Judge decides whether an image may run (be pulled, be built on) for a team
	// and records the decision. An image that may not is no error: see
	// [verdict.Decision.Allowed].
	Judge(ctx context.Context, q Question) (*verdict.Decision, error)
	// Pulled remembers what an engine's image is.
	Pulled(ctx context.Context, p Pulled) error
}

// Containers remembers whose a container is, by the engine's full ID.
type Containers interface {
	// Created remembers a container, durably, before its creator hears of it.
	Created(ctx context.Context, c Container) error
	// Removed forgets it. Forgetting what nobody remembers is no error.
	Removed(ctx context.Context, id string) error
	// Container returns what was remembered; NotFound if nothing.
	Container(ctx context.Context, id string) (Container, error)
}

// Things remembers whose everything else is, durably.
type Things interface {
	// Claim says that the thing is the team's. It is a Conflict if it is already
	// another team's, and nothing new if it is this team's.
	Claim(ctx context.Context, kind, name, team string) error
	// Owner returns whose it is; NotFound if nobody's.
	Owner(ctx context.Context, kind, name string) (team string, err error)
	// Disown forgets whose it is.
	Disown(ctx context.Context, kind, name string) error
}

// The kinds of [Things].
const (
	KindVolume  = "volume"  // by name
	KindNetwork = "network" // by the engine's full ID
	KindExec    = "exec"    // by the engine's full ID; the team is the container's
	KindTag     = "tag"     // by normalised reference, "docker.io/library/busybox:latest"
	KindImage   = "image"   // by config digest, for images that one team built, committed or loaded
)

// Caller is who sent a request.
type Caller struct {
	User        string // login name, "" if the user ID has none
	UID         uint32 // of the peer of the unix socket; ^0 for TLS
	Certificate string // subject of the client certificate, RFC 4514, "" on a unix socket
	Team        string // named by the socket or by a header, "" if by neither
	Root        bool
}

// Name returns the caller as audit logs write it.
func (c Caller) Name() string {
	switch {
	case c.Certificate != "":
		return c.Certificate
	case c.User != "":
		return c.User
	}
	return "uid:" + decimal(c.UID)
}

// Question asks whether an image may be used.
type Question struct {
	Image       string     // normalised reference as it was asked for, or ""
	Config      ref.Digest // the engine's image ID, "" before a pull
	RepoDigests []string   // as the engine has them, normalised
	Team        string
	Action      string // ActionRun, ActionBuild
	Caller      Caller
	Door        string // always Door
}

// Door is the name of this door in decisions.
const Door = "engine"

// Pulled is what an engine's image is: which reference and digest it came from.
type Pulled struct {
	Reference string     // normalised, as it was asked for
	Digest    ref.Digest // of the index or manifest that the reference named
	Manifest  ref.Digest // of the platform's manifest, "" if it is not known
	Config    ref.Digest // the engine's image ID
	Team      string
}

// Container is what is remembered of a container.
type Container struct {
	ID       string // the engine's, 64 hexadecimal digits
	Name     string // without "/"
	Team     string
	Caller   string
	Decision string // ID of the decision that let it be made
	Image    string // as it was asked for, normalised; "" if by ID
	Config   ref.Digest
	Volumes  []string // names of its volumes
	Profile  *profile.Profile
}

// Build is a build by the classic builder.
type Build struct {
	Team   string
	Caller Caller
}
