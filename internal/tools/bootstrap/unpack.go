package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/internal/tools/debian"
)

// roots are the private folders.
type roots struct {
	programs string // what the machine lacks, with the libraries that it lacks
	system   string // headers and libraries to compile against, complete
	bin      string // wrappers of ours
}

// unpack brings the missing tools into r and returns an error that says what to
// type instead where that cannot be done.
func unpack(ctx context.Context, cache string, r roots, missing []tool) error {
	var packages, names []string
	for _, t := range missing {
		packages, names = append(packages, t.packages...), append(names, t.name)
	}
	stamp := strings.Join(packages, " ") + "\n"
	if have, err := os.ReadFile(r.stamp()); err == nil && string(have) == stamp {
		return nil
	}
	say("%s: not on this machine; unpacking packages into %s (nothing is installed)", strings.Join(names, ", "), filepath.Dir(r.programs))
	if err := errors.Join(os.RemoveAll(r.programs), os.RemoveAll(r.system), os.RemoveAll(r.bin)); err != nil {
		return fmt.Errorf("clear folder of tools: %w", err)
	}
	if err := fetch(ctx, cache, r, packages); err != nil {
		return fmt.Errorf("%w\ntools: hint: sudo apt-get update && sudo apt-get install %s", err, strings.Join(packages, " "))
	}
	return os.WriteFile(r.stamp(), []byte(stamp), 0o644)
}

func (r roots) stamp() string { return filepath.Join(filepath.Dir(r.programs), "stamp") }

func fetch(ctx context.Context, cache string, r roots, packages []string) error {
	m, err := debian.ThisMachine(ctx)
	if err != nil {
		return err
	}
	root, err := debian.HostRoot(ctx, m, cache, say)
	if err != nil {
		return err
	}
	all, err := root.Resolve(ctx, packages...)
	if err != nil {
		return err
	}
	here, err := installed(ctx)
	if err != nil {
		return err
	}
	compile, err := root.Resolve(ctx, "libc6-dev")
	if err != nil {
		return err
	}
	lacking := slices.DeleteFunc(all, func(p debian.Package) bool {
		// The linker would find the headers' libraries there and take them for the machine's.
		return here[p.Name] || (strings.HasSuffix(p.Name, "-dev") && slices.Contains(compile, p))
	})
	if err := root.Unpack(ctx, lacking, r.programs); err != nil {
		return err
	}
	if !slices.Contains(packages, "gcc") {
		return nil
	}
	return root.Unpack(ctx, compile, r.system)
}

// installed returns the names of the packages that the machine has.
func installed(ctx context.Context) (map[string]bool, error) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n").Output()
	if err != nil {
		return nil, fmt.Errorf("ask dpkg what is installed: %w", err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "installed "); ok {
			names[name] = true
		}
	}
	return names, nil
}
