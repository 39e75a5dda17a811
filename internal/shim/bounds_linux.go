package shim

import (
	"context"
	"encoding/json"
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

// egressCommand is the sub-command that the runtime behind calls as a hook. No
// engine calls it.
const egressCommand = "egress-hook"

// limitStorage bounds what the container, and its team's volumes, may hold. The
// layer's folder holds the writable folder and those that overlays work in.
func (n *creation) limitStorage() error {
	g := n.build.Grant
	if g.Volumes != 0 || g.TeamProject != 0 || g.Profile.Total.Storage != 0 {
		return fault.Errorf(fault.Denied, "the profile's total.storage cannot be enforced")
	}
	if g.Profile.Storage == 0 {
		return nil
	}
	upper := n.build.Root.Upper
	if upper == "" || g.Project == 0 {
		return fault.Errorf(fault.Denied, "the profile's storage cannot be enforced: the container's root has no layer of its own, or no project")
	}
	if err := quota.Limit(filepath.Dir(upper), g.Project, g.Profile.Storage); err != nil {
		return fault.As(fault.Denied, fmt.Errorf("the profile's storage cannot be enforced: %w", err))
	}
	return nil
}

// bounded reports whether a grant says where packets may go.
func bounded(g *protocol.Grant) bool {
	n := g.Profile.Network
	return n.Mode == "none" || len(n.Egress)+len(g.Egress)+len(g.Resolvers) > 0
}

func rulesOf(g *protocol.Grant) (egress.Rules, error) {
	if g.Profile.Network.Mode == "none" {
		return egress.Rules{Closed: true}, nil
	}
	return egress.Parse(g.Egress, g.Resolvers)
}

// checkEgress refuses destinations that cannot be held to, before anything is
// made.
func checkEgress(g *protocol.Grant) error {
	if err := egress.Compatible(&g.Profile); err != nil {
		return err
	}
	_, err := rulesOf(g)
	return err
}

// hookEgress adds the hook that sets the rules to config, unless the container
// joins the network of another, whose rules hold.
func (n *creation) hookEgress(config []byte) ([]byte, error) {
	own := slices.ContainsFunc(n.asked.Linux.Namespaces, func(s specs.LinuxNamespace) bool {
		return s.Type == specs.NetworkNamespace && s.Path == ""
	})
	if !own || !bounded(n.build.Grant) {
		return config, nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	seconds := max(1, int(n.shim.config.deadline().Seconds()))
	hook, err := json.Marshal(specs.Hook{Path: program, Args: []string{program, "--root", n.call.state(), egressCommand}, Timeout: &seconds})
	if err != nil {
		return nil, err
	}
	return addHook(config, hook)
}

// addHook adds a hook as the last of createRuntime.
func addHook(config, hook []byte) ([]byte, error) {
	var spec, hooks map[string]json.RawMessage
	var all []json.RawMessage
	if err := json.Unmarshal(config, &spec); err != nil {
		return nil, err
	}
	if b, ok := spec["hooks"]; ok {
		if err := json.Unmarshal(b, &hooks); err != nil {
			return nil, err
		}
	}
	if b, ok := hooks["createRuntime"]; ok {
		if err := json.Unmarshal(b, &all); err != nil {
			return nil, err
		}
	}
	if hooks == nil {
		hooks = map[string]json.RawMessage{}
	}
	var err error
	if hooks["createRuntime"], err = json.Marshal(append(all, hook)); err != nil {
		return nil, err
	}
	if spec["hooks"], err = json.Marshal(hooks); err != nil {
		return nil, err
	}
	return json.Marshal(spec)
}

// egress is the hook itself.
func (s *shim) egress(c *call) error {
	return egress.Hook(s.ctx, os.Stdin, func(_ context.Context, id string) (egress.Rules, error) {
		sealed, err := s.grants.Find(c.state(), id)
		if err != nil {
			return egress.Rules{}, err
		}
		return rulesOf(&sealed.Grant)
	})
}
