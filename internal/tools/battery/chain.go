//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/tools/engines"
)

// guarded is a host that everything is installed on: the proxy in front of the
// engine's socket, the plugin, the runtime and the guard.
const guarded = "guarded"

// people are who acts on the guarded host for the teams, in their order. The
// third is of a team whose profile limits storage, the last of none.
var people = []string{"alice", "bob", "carol", "mallory"}

const chainPolicy = `apiVersion: plimsoll/v1
kind: Policy
environments:
  host:
    local: allow
    builds: {from: allowed}
    rules:
      - {id: known-bad, each: component, deny: component.kind == "known-bad-executable", message: is known to be bad}
host: {environment: host}
teams:
  %[1]s:
    members: {users: [alice]}
    may: [run, exec, logs, build, copy]
    total: {cpus: 2, memory: 1GiB, pids: 400}
    profile:
      cpus: 1
      memory: 256MiB
      pids: 256
      network: {mode: bridge, publish: ["18000-18099"]}
      setuidFiles: allow
      capabilities: {add: [CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT]}
      mounts: ["%[4]s/share/**:rw", "%[4]s/open/**:rw"]
  %[2]s:
    members: {users: [bob]}
    may: [run, exec, logs, build, copy]
    total: {cpus: 2, memory: 1GiB, pids: 400}
    profile:
      cpus: 1
      memory: 256MiB
      pids: 256
      network: {mode: bridge, publish: ["18100-18199"]}
      setuidFiles: allow
      capabilities: {add: [CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT]}
      mounts: ["%[4]s/open/**:rw"]
  %[3]s:
    members: {users: [carol]}
    may: [run, exec, logs, build, copy]
    profile: {cpus: 1, memory: 256MiB, pids: 256, storage: 64MiB}
`

// install installs everything on the set-up's host and gives each team the image.
func (s *setup) install(ctx context.Context) error {
	plimsoll, runtime := s.Host.Dir+"/bin/plimsoll", s.Host.Dir+"/bin/plimsoll-runtime"
	program, err := os.ReadFile(s.lab.program)
	err = errors.Join(err, os.WriteFile(s.Host.Dir+"/attack", program, 0o755), os.WriteFile(s.Host.Dir+"/file", []byte("text"), 0o644),
		os.Mkdir(s.Host.Dir+"/bin", 0o755), s.lab.build(ctx, plimsoll, "./cmd/plimsoll"), s.lab.build(ctx, runtime, "./cmd/plimsoll-runtime"))
	if err != nil {
		return fmt.Errorf("make what is installed: %w", err)
	}
	s.teams = append(s.teams, "green"+strings.TrimPrefix(s.teams[0], "red"))
	s.Host.Remove("/plimsoll/" + s.teams[2])
	policy := fmt.Sprintf(chainPolicy, s.teams[0], s.teams[1], s.teams[2], s.Host.Dir)
	if s.chain, err = engines.Install(ctx, s.Host, plimsoll, runtime, policy); err != nil {
		return err
	}
	s.Engine = s.chain.Engine
	if err := s.chain.Start(ctx); err != nil {
		return err
	}
	for i := range s.teams[:2] { // where no disk can be limited, the third may not even bring one
		if r := s.as(i).DockerIn(ctx, bytes.NewReader(s.lab.root), "import", "-", image); r.Code != 0 {
			return fmt.Errorf("import image for %s: %s", people[i], r.Err)
		}
	}
	if r := s.as(0).Docker(ctx, "run", "--rm", image, "true"); r.Code != 0 {
		return fmt.Errorf("run first container: %s", r.Err)
	}
	return s.share()
}

// as returns the set-up as the i-th of people sees it; on others than the guarded
// one all are alike.
func (s *setup) as(i int) *setup {
	other := *s
	other.user = people[i]
	return &other
}

// who acts: whom [setup.as] named, or else who is of the team that a label names.
// Nothing but this battery believes such labels.
func (s *setup) who(args []string) string {
	switch {
	case s.user != "":
		return s.user
	case slices.Contains(args, profileLabel+"=storage"):
		return people[2]
	case slices.Contains(args, teamLabel+"="+s.teams[1]):
		return people[1]
	}
	return people[0]
}

// own puts the name of the user's own image in the place of the name of the
// image: one team's images are not another's.
func own(user string, args []string) []string {
	args = slices.Clone(args)
	if i := slices.Index(args, image); i >= 0 && user != people[0] {
		args[i] = image + "-" + user
	}
	return args
}

// Docker runs a docker command: on the guarded set-up as one of the people, on
// the host, through the socket that people use.
func (s *setup) Docker(ctx context.Context, args ...string) engines.Result {
	return s.DockerIn(ctx, nil, args...)
}

// DockerIn is Docker with standard input.
func (s *setup) DockerIn(ctx context.Context, in io.Reader, args ...string) engines.Result {
	if s.chain == nil {
		return s.Engine.DockerIn(ctx, in, args...)
	}
	user := s.who(args)
	return s.chain.As(ctx, user, in, own(user, args)...)
}

// Command returns a docker command.
func (s *setup) Command(ctx context.Context, args ...string) *exec.Cmd {
	if s.chain == nil {
		return s.Engine.Command(ctx, args...)
	}
	user := s.who(args)
	return s.chain.CommandAs(ctx, user, "docker", own(user, args)...)
}

// StartDaemon starts dockerd again.
func (s *setup) StartDaemon(ctx context.Context) error {
	if s.chain == nil {
		return s.Engine.StartDaemon(ctx)
	}
	return s.chain.StartDaemon(ctx)
}

// send sends a request as one of the people and returns the status and the body.
func (s *setup) send(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	cmd := s.chain.CommandAs(ctx, s.who(nil), s.Host.Dir+"/attack", "request", "/run/docker.sock", method, "/v1.41"+path)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(body), &errs
	out, err := cmd.Output()
	if err != nil {
		return 0, nil, fmt.Errorf("ask engine: %w: %s", err, errs.String())
	}
	line, rest, _ := bytes.Cut(out, []byte("\n"))
	var status int
	if _, err := fmt.Sscan(string(line), &status); err != nil {
		return 0, nil, fmt.Errorf("ask engine: %w", err)
	}
	return status, rest, nil
}

// folder makes a folder that the people who act can use.
func (s *setup) folder() (string, error) {
	dir, err := os.MkdirTemp(s.Host.Dir, "people-")
	if err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	return filepath.Clean(dir), os.Chmod(dir, 0o777)
}

// share gives the folder that everybody may write to, to the IDs that the first
// team has on disk. It has them from its first container on.
func (s *setup) share() error {
	const table = "/var/lib/plimsoll/ids.json"
	var ids struct {
		Teams map[string]int `json:"teams"`
	}
	b, err := os.ReadFile(s.Host.Path(table))
	if err == nil {
		err = json.Unmarshal(b, &ids)
	}
	base, ok := ids.Teams[s.teams[0]]
	if err == nil && !ok {
		err = fmt.Errorf("%s has no IDs of %s: %s", table, s.teams[0], b)
	}
	if err != nil {
		return fmt.Errorf("find IDs of team: %w", err)
	}
	return os.Chown(s.Host.Dir+"/open", base, base)
}

// give lets the one who acts read a file.
func (s *setup) give(file string) error {
	if s.chain == nil {
		return nil
	}
	id, err := strconv.Atoi(engines.People[people[0]])
	if err != nil {
		return fmt.Errorf("find user: %w", err)
	}
	return os.Chown(file, id, id)
}
