package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit codes of plimsoll.
const (
	allowed   = 0
	denied    = 3
	untrusted = 4
)

// A result is what a command left behind.
type result struct {
	out, errs string
	code      int
}

// text returns everything that was printed.
func (r result) text() string { return r.out + r.errs }

// settings are the environment of plimsoll's commands in the story.
func (s *story) settings() map[string]string {
	return map[string]string{
		"PLIMSOLL_DATA":           s.path("data"),
		"PLIMSOLL_CONFIG":         "", // whatever the person has set otherwise
		"PLIMSOLL_POLICY":         "",
		"PLIMSOLL_PLAIN_HTTP":     "true",
		"PLIMSOLL_PKCS11_PIN":     pin,
		"PLIMSOLL_KEY_PASSPHRASE": "the demo's",
		"SOFTHSM2_CONF":           s.path("softhsm2.conf"),
	}
}

func (s *story) environment() []string {
	all := s.settings()
	env := os.Environ()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env
}

// plimsoll shows and runs a command of plimsoll's, shows what it printed, and
// fails unless it ends with the exit code want.
func (s *story) plimsoll(ctx context.Context, want int, args ...string) (result, error) {
	s.stage.command("plimsoll " + words(args))
	r, err := s.run(ctx, s.bin, args...)
	if err != nil {
		return r, err
	}
	s.stage.output(r.out)
	s.stage.output(r.errs)
	return r, s.ended(r, want, args)
}

// quiet runs a command of plimsoll's as JSON, unseen, to check what was shown.
func (s *story) quiet(ctx context.Context, want int, into any, args ...string) error {
	r, err := s.run(ctx, s.bin, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := s.ended(r, want, args); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(r.out), into); err != nil {
		return fmt.Errorf("plimsoll %s -o json: %w\n%s", words(args), err, r.out)
	}
	return nil
}

func (s *story) ended(r result, want int, args []string) error {
	if r.code != want {
		return fmt.Errorf("plimsoll %s ended with exit code %d, not %d:\n%s", words(args), r.code, want, r.text())
	}
	return nil
}

// run runs a program to its end. It is an error only if it cannot be started or
// ctx ends.
func (s *story) run(ctx context.Context, name string, args ...string) (result, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = s.dir, s.environment()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		return result{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{}, fmt.Errorf("run %s: %w", name, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}, nil
}

// words returns args as a person would type them.
func words(args []string) string {
	var all []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t;&|<>()$`\\\"'*?[]#~{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		all = append(all, a)
	}
	return strings.Join(all, " ")
}
