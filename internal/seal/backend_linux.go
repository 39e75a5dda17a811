package seal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
)

// Backend is the OCI runtime that stands behind the stage.
type Backend struct {
	Path     string // absolute
	Version  string // as it says itself: "runc version 1.1.5"
	Mappings bool   // wants mappings beside a user namespace's path
}

// FindBackend looks an OCI runtime up on PATH and asks what it can do.
func FindBackend(ctx context.Context, name string) (Backend, error) {
	if !slices.Contains(runtimes, name) {
		return Backend{}, cannot("runtime", "%q is none of the runtimes %v", name, runtimes)
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return Backend{}, fault.Hint(fault.Errorf(fault.Unavailable, "the OCI runtime %q is not on PATH", name), "apt-get install %s", name)
	}
	return AskBackend(ctx, path)
}

// AskBackend asks the OCI runtime at an absolute path what it can do.
func AskBackend(ctx context.Context, path string) (Backend, error) {
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Backend{}, fault.Errorf(fault.Unavailable, "ask %q for its version: %w", path, err)
	}
	return parseVersion(path, string(out))
}

// askBackend does what FindBackend does while the caller does something else, and
// returns a function that waits for the answer.
func askBackend(ctx context.Context, name string) func() (Backend, error) {
	var b Backend
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, err = FindBackend(ctx, name)
	}()
	return func() (Backend, error) {
		<-done
		return b, err
	}
}

// parseVersion reads what runc and crun say about themselves. Without seccomp
// they would run a container unfiltered; runc reads a namespace's mappings
// itself from 1.2 on.
func parseVersion(path, out string) (Backend, error) {
	name, major, minor, ok := version(out)
	if !ok {
		return Backend{}, fault.Errorf(fault.Unavailable, "%q is no runtime that is known: its version is %q", path, out[:min(len(out), 100)])
	}
	if !strings.Contains(out, "libseccomp:") && !strings.Contains(out, "+SECCOMP") {
		return Backend{}, fault.Errorf(fault.Unavailable, "%q was built without seccomp: it cannot filter system calls", path)
	}
	first, _, _ := strings.Cut(out, "\n")
	return Backend{Path: path, Version: first, Mappings: name == "crun" || major < 1 || (major == 1 && minor < 2)}, nil
}

// version reads "runc version 1.1.5" at the beginning of what a runtime says.
func version(out string) (name string, major, minor int, ok bool) {
	name, rest, _ := strings.Cut(out, " version ")
	if name != "runc" && name != "crun" {
		return "", 0, 0, false
	}
	first, rest, _ := strings.Cut(rest, ".")
	second := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	if len(first) > 4 || len(second) > 4 {
		return "", 0, 0, false
	}
	a, err := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(second, 10, 16)
	return name, int(a), int(b), err == nil && err2 == nil
}

// command returns the runtime's arguments that make and start the container in
// the folder home.
func (b Backend) command(home, id string) []string {
	in := func(name string) string { return filepath.Join(home, name) }
	return []string{
		b.Path, "--root", in("runtime"), "--log", in(runtimeLog), "--log-format", "json",
		"run", "--detach", "--bundle", in(bundle), "--pid-file", pidFile(id), id,
	}
}

// Errors of a container's start that have exit codes of their own.
var (
	ErrNoCommand     = errors.New("command not found")
	ErrNotExecutable = errors.New("command cannot be executed")
)

const maxLog = 1 << 20 // bytes

// startError returns what the runtime's log says about why it did not start a
// container.
func startError(file string) error {
	b, err := durable.ReadFile(file, maxLog)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the runtime's log: %w", err)
	}
	text := "it did not say why"
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Level == "error" && entry.Msg != "" {
			text = entry.Msg
		}
	}
	return classify(text)
}

func classify(text string) error {
	lower := strings.ToLower(text)
	contains := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(lower, p) })
	}
	switch {
	case contains("executable file", "exec:", "execve", "exec ") && contains("not found in $path", "no such file or directory"):
		return fault.As(fault.NotFound, fmt.Errorf("%w in the image: %s", ErrNoCommand, text))
	case contains("exec:", "exec ", "execve") && contains("permission denied", "is a directory", "exec format error"):
		return fault.As(fault.Invalid, fmt.Errorf("%w: %s", ErrNotExecutable, text))
	}
	return fault.Errorf(fault.Unavailable, "the runtime did not start the container: %s", text)
}
