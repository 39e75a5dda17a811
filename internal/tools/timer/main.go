//go:build linux

// Timer stands before an OCI runtime and writes down how long each of its calls
// takes: nanoseconds and the call's name, one line each, appended to the file that
// was compiled in.
//
// An engine runs it as its runtime. It hands on arguments and streams, and waits:
// what a container inherits is what it would inherit without.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// Set by the linker: the runtime that is measured, and the file.
var program, log string

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "timer: error: %v\n", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(args []string) (int, error) {
	f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	cmd := exec.Command(program, args...) //nolint:noctx // ends by itself
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	began := time.Now()
	err = cmd.Run()
	took := time.Since(began)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	_, err = fmt.Fprintf(f, "%d %s\n", took.Nanoseconds(), name(args))
	return cmd.ProcessState.ExitCode(), err
}

// name returns the sub-command.
func name(args []string) string {
	for _, a := range args {
		if slices.Contains([]string{"create", "start", "state", "kill", "delete", "exec", "features"}, a) {
			return a
		}
	}
	return "other"
}
