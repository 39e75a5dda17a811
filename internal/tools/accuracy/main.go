// Accuracy compares what scanners find in an image with the list of what is in
// it: how much of what is there they find (recall), and how much of what they
// report is there (precision), for packages and for native code apart.
//
//	accuracy LIST NAME=SBOM...
//
// LIST is the file that harbour writes beside its image known; each SBOM is a
// CycloneDX document, ours or syft's. It fails if the first of them is below the
// bars.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// The bars for the first scanner.
const (
	barPackageRecall = 0.99
	barNativeRecall  = 0.95
	barPrecision     = 0.99
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "accuracy: error: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: accuracy LIST NAME=SBOM")
	}
	truth, err := readList(args[0])
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCANNER\tPACKAGES FOUND\tRECALL\tPRECISION\tNATIVE FOUND\tRECALL\tPRECISION")
	var details []string
	var failed error
	for i, arg := range args[1:] {
		name, file, _ := strings.Cut(arg, "=")
		found, err := readSBOM(file)
		if err != nil {
			return err
		}
		packages, native := score(truth.packages, found.packages, samePackage), score(truth.native, found.native, sameNative)
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, packages, native)
		details = append(details, packages.mistakes(name)...)
		details = append(details, native.mistakes(name)...)
		if i == 0 && (packages.recall() < barPackageRecall || native.recall() < barNativeRecall || min(packages.precision(), native.precision()) < barPrecision) {
			failed = fmt.Errorf("%s is below the bars: recall %.2f of packages and %.2f of native code, precision %.2f of both", name, barPackageRecall, barNativeRecall, barPrecision)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, line := range details {
		fmt.Println(line)
	}
	return failed
}
