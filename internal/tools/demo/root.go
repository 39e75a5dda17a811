package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"

	"golang.org/x/term"
)

// asRoot returns the command line that runs a program as root with the story's
// settings: itself, or through sudo.
func (s *story) asRoot(name string, args ...string) []string {
	line := append([]string{name}, args...)
	if os.Getuid() == 0 {
		return line
	}
	sudo := []string{"sudo", "env"}
	all := s.settings()
	for _, keep := range []string{"PATH", "LD_LIBRARY_PATH", "PLIMSOLL_PKCS11_MODULE"} {
		if v, ok := os.LookupEnv(keep); ok {
			all[keep] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sudo = append(sudo, name+"="+all[name])
	}
	return append(sudo, line...)
}

// becomeRoot makes sure that asRoot will work, asking for a password if there is
// somebody to ask, and gives the story's state back to its owner at the end.
func (s *story) becomeRoot(ctx context.Context) error {
	if os.Getuid() == 0 {
		return nil
	}
	s.stage.prose("Namespaces, mounts and limits are root's to make: this part runs through sudo.")
	if exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("this part needs root, and there is no terminal to ask for a password: type sudo -v && make demo, or run make demo as root")
	}
	cmd := exec.CommandContext(ctx, "sudo", "-v")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if cmd.Run() != nil {
		return errors.New("this part needs root: type sudo make demo, or su -c 'make demo'")
	}
	return nil
}

// giveBack makes what root has written below path the caller's again.
func (s *story) giveBack(ctx context.Context, path string) error {
	if os.Getuid() == 0 {
		return nil
	}
	me := os.Getenv("USER")
	if me == "" {
		return errors.New("USER is not set")
	}
	return s.mustAsRoot(ctx, "chown", "-R", me, path)
}

// mustAsRoot runs a program as root, unseen, and fails unless it succeeds.
func (s *story) mustAsRoot(ctx context.Context, name string, args ...string) error {
	line := s.asRoot(name, args...)
	r, err := s.run(ctx, line[0], line[1:]...)
	if err == nil && r.code != 0 {
		err = errors.New(name + ": " + r.text())
	}
	return err
}
