package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"plimsoll/internal/tools/softpiv"
)

// pivReady is whether soft PIV cards can be used here, and an error where they
// must be.
func pivReady() (bool, error) {
	lack := softpiv.Missing(context.Background())
	if lack != "" && os.Getenv("CI") == "true" {
		return false, errors.New("missing: " + lack)
	}
	return lack == "", nil
}

// softCards begins a pcscd with cards of the serial numbers, and a file with the
// roots of their maker in dir. It returns what the environment is to hold.
func softCards(ctx context.Context, dir string, serials ...string) (_ *softpiv.Daemon, env map[string]string, err error) {
	authority, err := softpiv.NewAuthority()
	if err != nil {
		return nil, nil, err
	}
	var cards []*softpiv.Card
	for _, text := range serials {
		serial, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, nil, err
		}
		card, err := softpiv.New(softpiv.Config{Serial: uint32(serial), Authority: authority})
		if err != nil {
			return nil, nil, err
		}
		cards = append(cards, card)
	}
	roots := filepath.Join(dir, "soft.pem")
	if err := os.WriteFile(roots, authority.PEM(), 0o644); err != nil {
		return nil, nil, err
	}
	d, err := softpiv.Start(ctx, cards...)
	if err != nil {
		return nil, nil, err
	}
	return d, map[string]string{"PCSCLITE_CSOCK_NAME": d.Socket, "PLIMSOLL_ATTESTATION_ROOTS": "soft=" + roots}, nil
}

// pivCards SERIAL... puts soft PIV cards into the script's reader, with the
// factory's PIN, for scripts that ask for [piv] first.
func pivCards(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > softpiv.Slots {
		ts.Fatalf("usage: piv SERIAL...")
	}
	d, env, err := softCards(context.Background(), ts.MkAbs("."), args...)
	ts.Check(err)
	ts.Defer(func() {
		if err := d.Stop(); err != nil {
			ts.Logf("stop pcscd: %v", err)
		}
	})
	for name, value := range env {
		ts.Setenv(name, value)
	}
	ts.Logf("pcscd at %s", fmt.Sprint(env))
}
