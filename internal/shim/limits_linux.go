package shim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/egress"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/quota"
)

// limitStorage bounds what the container may write into its root, and what its
// team's volumes may hold beside its containers.
func (n *creation) limitStorage(ctx context.Context) error {
	g := n.build.Grant
	p := &g.Profile
	writes := p.Storage != 0 && !n.build.Root.ReadOnly()
	switch {
	case (p.Storage != 0) != (g.Project != 0) || (p.Total.Storage != 0) != (g.TeamProject != 0) || (g.Volumes != 0) != (g.TeamProject != 0),
		p.Total.Storage != 0 && p.Storage == 0, g.Project != 0 && g.Project == g.TeamProject, g.Volumes > p.Total.Storage:
		return fault.Errorf(fault.Invalid, "the guard granted storage that cannot be counted")
	case writes && n.build.Root.Upper == "":
		return fault.Errorf(fault.Denied, "the profile's storage cannot be enforced: the container's root has no writable layer of its own")
	}
	if g.TeamProject != 0 {
		if err := n.grants.LimitVolumes(ctx, g); err != nil {
			return fmt.Errorf("the profile's total.storage: %w", err)
		}
	}
	if !writes {
		return nil
	}
	if err := quota.Limit(filepath.Dir(n.build.Root.Upper), g.Project, p.Storage); err != nil {
		return fmt.Errorf("the profile's storage: %w", err)
	}
	return nil
}

const egressHook = "egress-hook"

// limited reports whether a grant bounds where packets go.
func limited(g *protocol.Grant) bool {
	return g.Profile.Network.Mode != "bridge" || len(g.Profile.Network.Egress) > 0 || len(g.Egress) > 0 || len(g.Resolvers) > 0
}

// limitEgress has the runtime call this program back when the container's network
// namespace is there and nothing of the container runs yet. In a namespace that
// is joined the rules of its owner stay, which must be the same.
func (n *creation) limitEgress() error {
	g := n.build.Grant
	joins := joinsNetwork(n.asked.Linux.Namespaces)
	if joins {
		if err := n.sharesEgress(); err != nil {
			return err
		}
	}
	if !limited(g) {
		return nil
	}
	if err := egress.Compatible(&g.Profile); err != nil {
		return err
	}
	if len(g.Profile.Network.Egress) > 0 && len(g.Egress) == 0 {
		return fault.Errorf(fault.Invalid, "the guard resolved none of the profile's network.egress")
	}
	if _, err := rules(g); err != nil {
		return err
	}
	if joins {
		return nil
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	n.build.Hook = &specs.Hook{Path: program, Args: []string{program, "--root=" + n.call.state(), egressHook}}
	return nil
}

// sharesEgress refuses to join a network whose rules are not this container's too,
// even if this one has none: its capabilities may let it change those of the other.
func (n *creation) sharesEgress() error {
	for _, w := range n.build.Spaces.With {
		if !sameEgress(&w.Grant, n.build.Grant) {
			return fault.Errorf(fault.Denied, "the network of container %q has other destinations than this container's profile", w.ID)
		}
	}
	return nil
}

func joinsNetwork(spaces []specs.LinuxNamespace) bool {
	return slices.ContainsFunc(spaces, func(s specs.LinuxNamespace) bool { return s.Type == specs.NetworkNamespace && s.Path != "" })
}

func sameEgress(a, b *protocol.Grant) bool {
	return a.Profile.Network.Mode == b.Profile.Network.Mode && slices.Equal(a.Egress, b.Egress) && slices.Equal(a.Resolvers, b.Resolvers)
}

func rules(g *protocol.Grant) (egress.Rules, error) {
	r, err := egress.Parse(g.Egress, g.Resolvers)
	r.Closed = g.Profile.Network.Mode == "none"
	return r, err
}

// setEgress is called by the runtime: it sets the rules of the container that is
// being made.
func (s *shim) setEgress(c *call) error {
	return egress.Hook(s.ctx, os.Stdin, func(_ context.Context, id string) (egress.Rules, error) {
		sealed, err := s.find(c, id)
		if err != nil {
			return egress.Rules{}, err
		}
		return rules(&sealed.Grant)
	})
}
