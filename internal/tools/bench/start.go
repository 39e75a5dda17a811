//go:build linux

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
	log     string // of the timer before its runtime
	docker  []string
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
		rows = append(rows, row{"of which " + call, fmt.Sprintf("%s − %s", round(middle(sealed.calls[call])), round(middle(plain.calls[call]))), ""})
	}
	return slices.Concat([]row{
		{"runtime's calls of docker run --rm, sealed − runc", fmt.Sprintf("%s − %s = %s", round(middle(sealed.runtime)), round(middle(plain.runtime)), round(middle(sealed.runtime)-middle(plain.runtime))), "≤ 15 ms"},
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
	program := filepath.Join(host.Dir, "plimsoll-runtime")
	if name != "sealed" {
		if program, err = exec.LookPath("runc"); err != nil {
			return s, err
		}
	} else if err := runtimeFor(ctx, host, program); err != nil {
		return s, err
	}
	timer := filepath.Join(host.Dir, "timer")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-X main.program="+program+" -X main.log="+s.log, "-o", timer, "./internal/tools/timer") // #nosec G204 -- of this file
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return s, fmt.Errorf("build timer: %w\n%s", err, out)
	}
	e, err := engines.Start(ctx, host, engines.Options{Remap: name == "remap", Runtime: timer})
	if err != nil {
		return s, err
	}
	s.engine = e
	if err := e.Import(ctx, "box", root); err != nil {
		return s, err
	}
	return s, nil
}

// run starts one container and waits for its end.
func (s *starter) run(ctx context.Context, counts bool) error {
	if err := os.WriteFile(s.log, nil, 0o600); err != nil {
		return err
	}
	began := time.Now()
	if r := s.engine.Docker(ctx, append(s.docker, "run", "--rm", "--network", "none", "box", "true")...); r.Code != 0 {
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
