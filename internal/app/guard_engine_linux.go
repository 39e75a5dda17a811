package app

import (
	"context"

	"plimsoll/internal/agent"
	"plimsoll/internal/engine"
	"plimsoll/internal/policy"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

var _ engine.Guard = (*Guard)(nil)

// member returns the caller as policies know members.
func member(c engine.Caller) policy.Caller {
	return policy.Caller{User: c.User, Certificate: c.Certificate, Root: c.Root}
}

// Teams implements [engine.Teams].
func (g *Guard) Teams(c engine.Caller) []string { return g.agent.Teams(member(c)) }

// Admit implements [engine.Teams].
func (g *Guard) Admit(ctx context.Context, team, action string, c engine.Caller) (*profile.Profile, error) {
	return g.agent.Admit(ctx, engine.Door, team, action, c.Name(), member(c))
}

// Judge implements [engine.Images].
func (g *Guard) Judge(ctx context.Context, q engine.Question) (*verdict.Decision, error) {
	return g.agent.Judge(ctx, agent.Question{
		Image: q.Image, Config: q.Config, RepoDigests: q.RepoDigests, Team: q.Team, Action: q.Action,
		Caller: member(q.Caller), Who: q.Caller.Name(), Door: q.Door,
	})
}

// Pulled implements [engine.Images].
func (g *Guard) Pulled(_ context.Context, p engine.Pulled) error {
	r, err := ref.Parse(p.Reference)
	if err != nil {
		return err
	}
	if _, err := ref.ParseDigest(string(p.Digest)); err != nil {
		return err
	}
	n := agent.Name{Repository: string(r.GUN()), Top: v1.Descriptor{Digest: p.Digest}}
	return g.memory.Pulled(p.Config, &n, "", nil)
}

// Created implements [engine.Containers].
func (g *Guard) Created(_ context.Context, c engine.Container) error {
	return g.agent.Created(agent.Container{
		ID: c.ID, Name: c.Name, Team: c.Team, Caller: c.Caller, Decision: c.Decision, Image: c.Image, Config: c.Config, Volumes: c.Volumes,
	})
}

// Removed implements [engine.Containers].
func (g *Guard) Removed(_ context.Context, id string) error { return g.agent.Removed(id) }

// Container implements [engine.Containers]. The profile is what the team gets now.
func (g *Guard) Container(_ context.Context, id string) (engine.Container, error) {
	c, err := g.agent.Container(id)
	if err != nil {
		return engine.Container{}, err
	}
	out := engine.Container{
		ID: c.ID, Name: c.Name, Team: c.Team, Caller: c.Caller, Decision: c.Decision, Image: c.Image, Config: c.Config, Volumes: c.Volumes,
	}
	if l := g.laws.now(); l.Policy != nil {
		out.Profile = l.Policy.Grant(c.Team)
	}
	return out, nil
}

// Claim implements [engine.Things].
func (g *Guard) Claim(_ context.Context, kind, name, team string) error {
	return g.agent.Claim(kind, name, team)
}

// Owner implements [engine.Things].
func (g *Guard) Owner(_ context.Context, kind, name string) (string, error) {
	return g.agent.Owner(kind, name)
}

// Disown implements [engine.Things].
func (g *Guard) Disown(_ context.Context, kind, name string) error {
	return g.agent.Disown(kind, name)
}

// Building implements [engine.Guard].
func (g *Guard) Building(_ context.Context, b engine.Build) (parent string, done func(), err error) {
	return g.agent.Building(agent.Build{Team: b.Team, Caller: b.Caller.Name()})
}

// Record implements [engine.Guard].
func (g *Guard) Record(ctx context.Context, d *verdict.Decision) error { return g.agent.Record(ctx, d) }
