package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// run finds or unpacks every tool and writes the environment.
func run(ctx context.Context, cache string) error {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return fmt.Errorf("find cache: %w", err)
	}
	dir := filepath.Join(cache, "tools")
	r := roots{programs: filepath.Join(dir, "root"), system: filepath.Join(dir, "sysroot"), bin: filepath.Join(dir, "bin")}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder of tools: %w", err)
	}
	f := &finder{env: map[string]string{}}
	var missing []tool
	for _, t := range tools {
		if !t.found(ctx, f) {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		if err := f.bring(ctx, cache, r, missing); err != nil {
			return err
		}
	}
	return f.write(filepath.Join(dir, "env"))
}

func (f *finder) bring(ctx context.Context, cache string, r roots, missing []tool) error {
	if err := unpack(ctx, cache, r, missing); err != nil {
		return err
	}
	for _, t := range missing {
		if err := t.unpacked(f, r); err != nil {
			return err
		}
	}
	f.path = append(f.path, r.bin)
	for _, d := range []string{"usr/bin", "usr/sbin"} {
		f.path = append(f.path, filepath.Join(r.programs, d))
	}
	f.env["LD_LIBRARY_PATH"] = libraryPath(r)
	return nil
}

// libraryPath returns the folders of the private libraries. They hold only what
// the machine lacks, so they shadow nothing.
func libraryPath(r roots) string {
	found, _ := filepath.Glob(filepath.Join(r.programs, "usr/lib/*-linux-gnu*")) // the pattern is well formed
	return strings.Join(append(found, filepath.Join(r.programs, "usr/lib")), ":")
}

// write writes the environment as a shell sources it.
func (f *finder) write(path string) error {
	var text strings.Builder
	slices.Sort(f.path)
	f.path = slices.Compact(f.path)
	if len(f.path) > 0 {
		fmt.Fprintf(&text, "export PATH=\"$PATH\":%s\n", quote(strings.Join(f.path, ":")))
	}
	for _, name := range slices.Sorted(maps.Keys(f.env)) {
		fmt.Fprintf(&text, "export %s=%s\n", name, quote(f.env[name]))
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write environment: %w", err)
	}
	return os.Rename(tmp, path)
}

// quote returns s as one word of a shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
