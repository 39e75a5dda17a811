package cli

import (
	"context"
	"testing"

	"plimsoll/internal/fault"
)

func TestConfirm(t *testing.T) {
	for typed, want := range map[string]bool{"yes\n": true, " YES \n": true, "y\n": false, "\n": false, "no\n": false} {
		person, program := openTerminal(t)
		env := &Env{In: program, Out: program, Err: program}
		sees := &screen{File: person}
		answer := make(chan bool, 1)
		go func() {
			ok, err := env.Confirm(t.Context(), "sign root?")
			answer <- ok && err == nil
		}()
		sees.until(t, "sign root?: ")
		if _, err := person.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		if got := <-answer; got != want {
			t.Errorf("%q: %t", typed, got)
		}
	}
}

func TestConfirmIsCalledOff(t *testing.T) {
	_, program := openTerminal(t)
	env := &Env{In: program, Out: program, Err: program}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := env.Confirm(ctx, "sign root?"); ok || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%t, %v", ok, err)
	}
}
