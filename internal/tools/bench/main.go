// Bench measures plimsoll against its bars, in one run and on one machine: what
// a scan of a large image costs beside the least that it could (internal/tools/floor),
// how fast the program starts, how fast a cached check decides, and what signing
// and verifying cost, the latter beside Debian's notary. It informs; it fails only
// if something cannot be measured.
//
//	bench CACHE [PART...]
//
// A part is scan, peer, start, check, verify, sign, bins or containers; without any, all are run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

// How often each thing is run.
const (
	startRuns = 50
	checkRuns = 20
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := errors.New("usage: bench CACHE [PART...]")
	if len(os.Args) > 1 {
		err = run(ctx, os.Args[1], os.Args[2:])
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: error: %v\n", err)
		os.Exit(1)
	}
}

// A row is one line of the table.
type row struct{ what, measured, bar string }

func run(ctx context.Context, cache string, parts []string) error {
	dir, err := os.MkdirTemp(cache, "bench-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	b := &bench{plimsoll: "bin/plimsoll", floor: filepath.Join(dir, "floor"), layout: filepath.Join(cache, "harbour"), dir: dir, cache: cache}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.registry.server.Close()
	var rows []row
	for _, part := range []struct {
		name    string
		measure func(context.Context) ([]row, error)
	}{{"scan", b.scans}, {"peer", b.peer}, {"start", b.starts}, {"check", b.checks}, {"verify", b.verifies}, {"sign", b.signing}, {"bins", b.bins}, {"containers", b.containers}} {
		if len(parts) > 0 && !slices.Contains(parts, part.name) {
			continue
		}
		more, err := part.measure(ctx)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tMEASURED\tBAR")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.what, r.measured, r.bar)
	}
	return w.Flush()
}

// bench is where everything lies.
type bench struct {
	plimsoll, floor, layout, dir, cache string
	registry                            *tlsRegistry
}

// prepare starts the registry and sets what all programs are to find in their
// environment.
func (b *bench) prepare(ctx context.Context) error {
	for name, value := range map[string]string{
		"SSL_CERT_FILE":           b.certificate(), // the only one that programs are to know,
		"SSL_CERT_DIR":            b.dir,           // as notary does when it is told one
		"PLIMSOLL_KEY_PASSPHRASE": "correct-horse-battery",
		"NOTARY_ROOT_PASSPHRASE":  "correct-horse-battery", "NOTARY_TARGETS_PASSPHRASE": "correct-horse-battery",
		"NOTARY_SNAPSHOT_PASSPHRASE": "correct-horse-battery", "NOTARY_DELEGATION_PASSPHRASE": "correct-horse-battery",
	} {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("set environment: %w", err)
		}
	}
	if err := b.makeCertificate(); err != nil {
		return err
	}
	if _, err := b.measure(ctx, filepath.Join(b.dir, "packs"), b.plimsoll, "advisories", "build", "testdata/advisories"); err != nil {
		return err
	}
	var err error
	b.registry, err = b.startRegistry(ctx)
	return err
}

// A sample is what one process took.
type sample struct {
	processor, wall time.Duration
	memory          int64 // bytes, at the peak
}

// measure runs a program to its end, with a data folder data.
func (b *bench) measure(ctx context.Context, data, name string, args ...string) (sample, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "PLIMSOLL_DATA="+data)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(began)
	if err != nil {
		return sample{}, fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, errors.New("this system does not say what a process used")
	}
	return sample{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), wall, usage.Maxrss << 10}, nil
}

// starts measures how long the program takes to say its version.
func (b *bench) starts(ctx context.Context) ([]row, error) {
	all, err := b.repeat(ctx, startRuns, filepath.Join(b.dir, "packs"), "version")
	return []row{{"plimsoll version, start to end", round(wall(all)), "< 15 ms"}}, err
}

// checks measures a decision about an image that has been scanned before.
func (b *bench) checks(ctx context.Context) ([]row, error) {
	file := filepath.Join(b.dir, "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	data := filepath.Join(b.dir, "packs")
	args := []string{"check", "oci:" + b.layout + ":big", "--environment", "bench", "--policy", file}
	if _, err := b.measure(ctx, data, b.plimsoll, args...); err != nil {
		return nil, err
	}
	all, err := b.repeat(ctx, checkRuns, data, args...)
	return []row{{"check with everything cached", round(wall(all)), "< 100 ms"}}, err
}

// policy lets everything pass, but looks at each finding.
const policy = `apiVersion: plimsoll/v1
kind: Policy
environments:
  bench:
    local: allow
    scanned: {advisoriesWithin: 87600h}
    rules:
      - {id: none, each: finding, deny: finding.id == "none", message: never}
`

func (b *bench) repeat(ctx context.Context, n int, data string, args ...string) (all []sample, err error) {
	for range n {
		s, err := b.measure(ctx, data, b.plimsoll, args...)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// processor and wall return the medians.
func processor(all []sample) time.Duration {
	return median(all, func(s sample) time.Duration { return s.processor })
}

func wall(all []sample) time.Duration {
	return median(all, func(s sample) time.Duration { return s.wall })
}

func median(all []sample, of func(sample) time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	var times []time.Duration
	for _, s := range all {
		times = append(times, of(s))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

func round(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
