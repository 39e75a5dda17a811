package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new terminal: the person's and the program's.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: a pseudo-terminal: %v", err)
		}
		t.Skipf("missing: a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// screen is what a person sees. It reads on until want is there.
type screen struct {
	*os.File
	seen string
}

func (s *screen) until(t *testing.T, want string) {
	t.Helper()
	for b := make([]byte, 1024); !strings.Contains(s.seen, want); {
		n, err := s.Read(b)
		if err != nil {
			t.Fatalf("%v; seen so far: %q", err, s.seen)
		}
		s.seen += string(b[:n])
	}
}

// TestProgressStepsAside asks for a secret in the middle of long work: progress
// is shown, makes room for the question, and comes back after the answer.
func TestProgressStepsAside(t *testing.T) {
	person, program := openTerminal(t)
	env := &Env{In: program, Out: program, Err: program}
	sees := &screen{File: person}
	ask, end := make(chan bool), make(chan bool)
	done := make(chan error, 1)
	go func() {
		done <- env.during("publishing", func() error {
			<-ask
			secret, err := env.Secret(t.Context(), "PIN")
			if err == nil && string(secret) != "1234" {
				err = fmt.Errorf("answered %q", secret)
			}
			env.Notify("touch the key")
			<-end
			return err
		})
	}()
	sees.until(t, "publishing … 1 s")
	ask <- true
	sees.until(t, "\r\x1b[KPIN: ")
	before := sees.seen
	if _, err := person.WriteString("1234\n"); err != nil {
		t.Fatal(err)
	}
	sees.until(t, "plimsoll: touch the key\r\n")
	if after := strings.TrimPrefix(sees.seen, before); !strings.HasPrefix(after, "\r\nplimsoll: touch the key\r\n") {
		t.Errorf("while the person typed, this was written: %q", after)
	}
	sees.seen = ""
	sees.until(t, "publishing … ")
	end <- true
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(program, "END")
	sees.until(t, "END")
	if !strings.HasSuffix(sees.seen, "\r\x1b[KEND") {
		t.Errorf("the line is still there: %q", sees.seen)
	}
}
