// Accuracy compares what scanners find in images with the lists of what is in
// them: how much of what is there they find (recall), and how much of what they
// report is there (precision), for packages and for native code apart.
//
//	accuracy CACHE IMAGE...
//
// The images and their lists are in CACHE/harbour, where harbour puts them. The
// scanner is bin/plimsoll; syft is measured beside it if it is in CACHE/peers. It
// fails if plimsoll is below the bars.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
)

// The bars for plimsoll.
const (
	barPackageRecall = 0.99
	barNativeRecall  = 0.95
	barPrecision     = 0.99
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := errors.New("usage: accuracy CACHE IMAGE [IMAGE]")
	if len(os.Args) > 2 {
		err = run(ctx, os.Args[1], os.Args[2:])
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "accuracy: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cache string, images []string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tSCANNER\tPACKAGES FOUND\tRECALL\tPRECISION\tNATIVE FOUND\tRECALL\tPRECISION")
	var mistakes []string
	var failed error
	for _, name := range images {
		layout := filepath.Join(cache, "harbour")
		truth, err := readList(filepath.Join(layout, name+".tsv"))
		if err != nil {
			return err
		}
		found, err := sbom(ctx, "bin/plimsoll", "sbom", "oci:"+layout+":"+name, "--no-cache", "-o", "cyclonedx")
		if err != nil {
			return err
		}
		c := compare(truth, found)
		fmt.Fprintf(w, "%s\tplimsoll\t%s\n", name, c)
		mistakes = append(mistakes, c.mistakes("plimsoll", name)...)
		if !c.passes() {
			failed = errors.Join(failed, fmt.Errorf("%s: below the bars: recall %.2f of packages and %.2f of native code, precision %.2f of both", name, barPackageRecall, barNativeRecall, barPrecision))
		}
		if err := peer(ctx, w, cache, name, truth); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, line := range mistakes {
		fmt.Println(line)
	}
	return failed
}

// peer measures syft, if it is there. Its tool for layouts takes the only image
// of a layout, so that it is given one through an archive.
func peer(ctx context.Context, w io.Writer, cache, name string, truth lists) error {
	syft := filepath.Join(cache, "peers", "syft")
	if _, err := os.Stat(syft); err != nil {
		return nil // it is not asked for
	}
	dir, err := os.MkdirTemp(cache, "peer-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if out, err := exec.CommandContext(ctx, "bin/plimsoll", "copy", "oci:"+filepath.Join(cache, "harbour")+":"+name, "oci:"+dir+"/image:"+name).CombinedOutput(); err != nil {
		return fmt.Errorf("copy image: %w\n%s", err, out)
	}
	found, err := sbom(ctx, syft, "scan", "-q", "oci-dir:"+dir+"/image", "-o", "cyclonedx-json")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\tsyft\t%s\n", name, compare(truth, found))
	return nil
}

// sbom runs a scanner that writes CycloneDX.
func sbom(ctx context.Context, program string, args ...string) (lists, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "SYFT_CHECK_FOR_APP_UPDATE=false")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return lists{}, fmt.Errorf("run %s: %w", program, err)
	}
	return readSBOM(out)
}

// A comparison is of both lists.
type comparison struct{ packages, native result }

func compare(truth, found lists) comparison {
	return comparison{score(truth.packages, found.packages, samePackage), score(truth.native, found.native, sameNative)}
}

func (c comparison) String() string { return c.packages.String() + "\t" + c.native.String() }

func (c comparison) passes() bool {
	return c.packages.recall() >= barPackageRecall && c.native.recall() >= barNativeRecall && min(c.packages.precision(), c.native.precision()) >= barPrecision
}

func (c comparison) mistakes(scanner, image string) []string {
	return append(c.packages.mistakes(scanner+", "+image), c.native.mistakes(scanner+", "+image)...)
}
