package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll/internal/tools/engines"
)

// containerRuns is how often a container is started on each engine, one engine
// after the other; the first round warms up and does not count.
const containerRuns = 31

// An engine of the comparison.
type starter struct {
	name    string
	engine  *engines.Engine
	log     string          // of the timer before its runtime
	runtime []time.Duration // all calls of one container's runtime
	whole   []time.Duration // docker run --rm, start to end
	calls   map[string][]time.Duration
}

// containers measures what a container's start costs: by the plain engine, by the
// engine with its own mapping, and sealed.
func (b *bench) containers(ctx context.Context) (rows []row, err error) {
	if missing := engines.Missing(); len(missing) > 0 {
		return []row{{"starting containers", "not measured: needs " + strings.Join(missing, ", "), ""}}, nil
	}
	busybox, err := engines.Busybox(ctx, b.cache, func(string, ...any) {})
	if err != nil {
		return nil, err
	}
	var root bytes.Buffer
	if err := engines.Image(ctx, &root, busybox); err != nil {
		return nil, err
	}
	var all []*starter
	defer func() {
		for _, s := range all {
			if closed := s.engine.Host.Close(); err == nil {
				err = closed
			}
		}
	}()
	for _, name := range []string{"plain", "remap", "sealed"} {
		s, err := b.starter(ctx, name, root.Bytes())
		if s != nil {
			all = append(all, s)
		}
		if err != nil {
			return nil, fmt.Errorf("engine %q: %w", name, err)
		}
	}
	for round := range containerRuns {
		for _, s := range all {
			if err := s.run(ctx, round > 0); err != nil {
				return nil, fmt.Errorf("engine %q: %w", s.name, err)
			}
		}
	}
	plain, remap, sealed := all[0], all[1], all[2]
	for _, call := range slices.Sorted(maps.Keys(sealed.calls)) {
		rows = append(rows, row{"of which " + call + ", sealed, remap, plain", fmt.Sprintf("%s, %s, %s", round(middle(sealed.calls[call])), round(middle(remap.calls[call])), round(middle(plain.calls[call]))), ""})
	}
	return slices.Concat([]row{
		{"runtime's calls of docker run --rm, sealed − runc", fmt.Sprintf("%s − %s = %s", round(middle(sealed.runtime)), round(middle(plain.runtime)), round(middle(sealed.runtime)-middle(plain.runtime))), "≤ 15 ms"},
		{"runtime's calls, sealed ÷ engine's own remap", fmt.Sprintf("%s ÷ %s = %.2f", round(middle(sealed.runtime)), round(middle(remap.runtime)), float64(middle(sealed.runtime))/float64(middle(remap.runtime))), "≤ 1"},
		{"docker run --rm, sealed ÷ engine's own remap", fmt.Sprintf("%s ÷ %s = %.2f (plain %s)", round(middle(sealed.whole)), round(middle(remap.whole)), float64(middle(sealed.whole))/float64(middle(remap.whole)), round(middle(plain.whole))), "≤ 1"},
	}, rows), nil
}

func middle(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// starter starts an engine whose runtime is timed.
func (b *bench) starter(ctx context.Context, name string, root []byte) (*starter, error) {
	host, err := engines.NewHost(ctx)
	if err != nil {
		return nil, err
	}
	s := &starter{name: name, calls: map[string][]time.Duration{}, engine: &engines.Engine{Host: host}, log: filepath.Join(host.Dir, "timer.log")}
	timer, err := s.timer(ctx)
	if err != nil {
		return s, err
	}
	if name == "sealed" {
		err = s.guarded(ctx, timer)
	} else {
		s.engine, err = engines.Start(ctx, host, engines.Options{Remap: name == "remap", Runtime: timer})
	}
	if err != nil {
		return s, err
	}
	return s, s.engine.Import(ctx, "box", root)
}

// timer builds the timer before the runtime of the engine.
func (s *starter) timer(ctx context.Context) (string, error) {
	program, err := exec.LookPath("runc")
	if err != nil {
		return "", err
	}
	if s.name == "sealed" {
		program = filepath.Join(s.engine.Host.Dir, "plimsoll-runtime")
		b, err := os.ReadFile("bin/plimsoll-runtime")
		if err == nil {
			err = os.WriteFile(program, b, 0o755) // #nosec G306 -- a program
		}
		if err != nil {
			return "", fmt.Errorf("put runtime into place: %w", err)
		}
	}
	file := filepath.Join(s.engine.Host.Dir, "timer")
	flags := "-X main.program=" + program + " -X main.log=" + s.log
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", flags, "-o", file, "./internal/tools/timer") // #nosec G204 -- of this file
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build timer: %w\n%s", err, out)
	}
	return file, nil
}

// guarded starts an engine with everything: proxy, plugin, guard and runtime.
func (s *starter) guarded(ctx context.Context, runtime string) error {
	s.engine.Host.Remove("/plimsoll/bench")
	g, err := engines.Install(ctx, s.engine.Host, "bin/plimsoll", runtime, oneTeam)
	if err != nil {
		return err
	}
	s.engine = &engines.Engine{Host: g.Host, Socket: g.Host.Path("/run/docker.sock")}
	return g.Start(ctx)
}

// oneTeam may run what was made on the host.
const oneTeam = `apiVersion: plimsoll/v1
kind: Policy
environments:
  host: {local: allow, rules: [{id: known-bad, each: component, deny: component.kind == "known-bad-executable", message: is known to be bad}]}
host: {environment: host}
teams:
  bench:
    members: {users: [root]}
    may: [run, build]
    profile: {cpus: 2, memory: 512MiB, pids: 256, network: {mode: bridge}}
`

// run starts one container and waits for its end.
func (s *starter) run(ctx context.Context, counts bool) error {
	if err := os.WriteFile(s.log, nil, 0o600); err != nil {
		return err
	}
	began := time.Now()
	if r := s.engine.Docker(ctx, "run", "--rm", "--network", "none", "box", "true"); r.Code != 0 {
		return fmt.Errorf("docker run: %s", r.Err)
	}
	took := time.Since(began)
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err
	}
	var sum time.Duration
	for line := range strings.Lines(string(text)) {
		number, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return fmt.Errorf("log of timer: %w", err)
		}
		sum += time.Duration(n)
		if counts {
			s.calls[call] = append(s.calls[call], time.Duration(n))
		}
	}
	if counts {
		s.runtime, s.whole = append(s.runtime, sum), append(s.whole, took)
	}
	return nil
}
