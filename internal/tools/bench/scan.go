package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// scanRuns is how often each image is scanned.
const scanRuns = 5

// scans compares scan and floor over images of several kinds, in turn.
func (b *bench) scans(ctx context.Context) ([]row, error) {
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.floor, "./internal/tools/floor").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build floor: %w\n%s", err, out)
	}
	var rows []row
	for _, image := range []struct {
		tag, what   string
		ratio, wall string // bars
	}{
		{"mix", "packages of all kinds", "≤ 1.35", ""},
		{"big", "much native code", "≤ 1.7", ""},
		{"single", "one layer", "", "≤ 0.8"},
		{"even", "six even layers", "", "≤ 0.65"},
		{"huge", "2.5 GB", "", ""},
	} {
		more, err := b.scanOf(ctx, image.tag, image.what, image.ratio, image.wall)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// scanOf measures the scan of one image, cold and with everything kept.
func (b *bench) scanOf(ctx context.Context, tag, what, ratioBar, wallBar string) ([]row, error) {
	var scans, floors, again []sample
	name := "oci:" + b.layout + ":" + tag
	for i := range scanRuns {
		f, err := b.measure(ctx, b.dir, b.floor, b.layout, tag)
		if err != nil {
			return nil, err
		}
		data := filepath.Join(b.dir, fmt.Sprint("data-", tag, i)) // nothing is kept
		s, err := b.measure(ctx, data, b.plimsoll, "sbom", name)
		if err != nil {
			return nil, err
		}
		known, err := b.measure(ctx, data, b.plimsoll, "sbom", name)
		if err != nil {
			return nil, err
		}
		scans, floors, again = append(scans, s), append(floors, f), append(again, known)
	}
	scan, floor := processor(scans), processor(floors)
	peak := slices.MaxFunc(scans, func(a, b sample) int { return int(a.memory - b.memory) }).memory
	part := median(scans, func(s sample) time.Duration {
		return time.Duration(float64(s.wall) / float64(s.processor) * float64(time.Second))
	})
	return []row{
		{tag + " (" + what + "): floor, processor time", round(floor), ""},
		{tag + ": scan, processor time", round(scan), ""},
		{tag + ": scan ÷ floor", fmt.Sprintf("%.2f", float64(scan)/float64(floor)), ratioBar},
		{tag + ": wall ÷ processor time", fmt.Sprintf("%.2f", part.Seconds()), wallBar},
		{tag + ": peak memory", fmt.Sprintf("%.0f MiB", float64(peak)/(1<<20)), "< 100 MiB"},
		{tag + ": scanned before, start to end", round(wall(again)), "< 50 ms"},
	}, nil
}

// syft is the version that is measured beside plimsoll.
const syft = "github.com/anchore/syft/cmd/syft@v1.57.0"

// peer compares the processor time of syft's catalogue of an image with that of
// ours. Building syft takes ten minutes, once.
func (b *bench) peer(ctx context.Context) ([]row, error) {
	program := filepath.Join(b.cache, "peers", "syft")
	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "bench: building syft")
		folder, err := filepath.Abs(filepath.Dir(program))
		if err != nil {
			return nil, fmt.Errorf("find folder: %w", err)
		}
		cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", "-ldflags=-s -w", syft)
		cmd.Dir, cmd.Env = os.TempDir(), append(os.Environ(), "GOBIN="+folder, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build syft: %w\n%s", err, out)
		}
	}
	alone := filepath.Join(b.dir, "peer")
	if _, err := b.measure(ctx, b.dir, b.plimsoll, "copy", "oci:"+b.layout+":mix", "oci:"+alone+":mix"); err != nil {
		return nil, err
	}
	var ours, theirs []sample
	for range 3 {
		t, err := b.measure(ctx, b.dir, program, "scan", "-q", "oci-dir:"+alone, "-o", "cyclonedx-json="+filepath.Join(b.dir, "syft.json"))
		if err != nil {
			return nil, err
		}
		o, err := b.measure(ctx, b.dir, b.plimsoll, "sbom", "oci:"+alone+":mix", "--no-cache", "-o", "cyclonedx")
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, o), append(theirs, t)
	}
	return []row{
		{"mix: syft, processor time", round(processor(theirs)), ""},
		{"mix: syft ÷ scan", fmt.Sprintf("%.1f", float64(processor(theirs))/float64(processor(ours))), "≥ 4"},
		{"mix: syft, peak memory", fmt.Sprintf("%.0f MiB", float64(theirs[0].memory)/(1<<20)), ""},
	}, nil
}
