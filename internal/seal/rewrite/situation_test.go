package rewrite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
)

const (
	team      = "payments"
	container = "b8a53038a2ef6f1d8491e599868473f0e3f0f0fb62e86a6a628e34cc56289ca9"
)

func grant() *protocol.Grant {
	return &protocol.Grant{
		Team: team, Decision: "d-17", IDs: idmap.Range{Base: 0x70000000, Size: idmap.SlotSize},
		Profile: profile.Profile{
			CPUs: 1.5, Memory: 512 << 20, PIDs: 256, Runtime: "runc", Network: profile.Network{Mode: "bridge"},
			Capabilities: []string{"CHOWN", "KILL", "NET_BIND_SERVICE", "SETUID"},
		},
	}
}

func situation() rewrite.Situation {
	return rewrite.Situation{
		Paths: rewrite.Paths{Root: "/b/rootfs", Users: "/b/userns", Mounts: "/b/m", Nodes: "/b/n"},
		ID:    container, Arch: "amd64", Swap: true,
		HostSpace: func(_ specs.LinuxNamespaceType, path string) (bool, error) {
			switch {
			case strings.HasPrefix(path, "/proc/694/ns/"):
				return false, nil
			case path == "/var/run/docker/netns/default", strings.HasPrefix(path, "/proc/1/ns/"):
				return true, nil
			}
			return false, os.ErrNotExist
		},
		Node: func(path string) (rewrite.Node, error) {
			switch path {
			case "/dev/fuse":
				return rewrite.Node{Type: "c", Major: 10, Minor: 229}, nil
			case "/dev/kvm":
				return rewrite.Node{Type: "c", Major: 10, Minor: 232}, nil
			}
			return rewrite.Node{}, errors.New("no such device")
		},
	}
}

// captured returns what an engine asked for: Docker 20.10.24 but where the name
// says another, the paths of its folders replaced by the usual ones.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func captures(t testing.TB, suffix string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), suffix)
		all[name] = captured(t, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return all
}
