package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"plimsoll/internal/fault"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Secret asks for a secret on the terminal, without an echo. It is Unavailable
// where nobody can be asked, and when ctx ends before the answer.
func (env *Env) Secret(ctx context.Context, prompt string) ([]byte, error) {
	if !isTerminal(env.In) {
		return nil, fault.Errorf(fault.Unavailable, "%s: nobody to ask: standard input is not a terminal", prompt)
	}
	fd := int(env.In.Fd())
	echoing, err := term.GetState(fd)
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, err)
	}
	fmt.Fprintf(env.Err, "%s: ", prompt)
	defer fmt.Fprintln(env.Err)
	type answer struct {
		secret []byte
		err    error
	}
	typed := make(chan answer, 1)
	// A read from a terminal cannot be called off: after Ctrl-C this goroutine is
	// left to the end of the process, which is near.
	go func() {
		b, err := term.ReadPassword(fd)
		typed <- answer{b, err}
	}()
	select {
	case a := <-typed:
		if a.err != nil {
			return nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, a.err)
		}
		return a.secret, nil
	case <-ctx.Done():
		if err := term.Restore(fd, echoing); err != nil {
			return nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, err)
		}
		return nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, context.Cause(ctx))
	}
}

// progress says on a terminal how far a long piece of work is, from its second
// second on. All methods may be called concurrently.
type progress struct {
	label string
	done  atomic.Int64 // bytes
	stop  chan struct{}
	wait  sync.WaitGroup
}

// startProgress begins a line about label; the caller ends it with finish.
func (env *Env) startProgress(label string) *progress {
	p := &progress{label: label, stop: make(chan struct{})}
	if !isTerminal(env.Err) {
		return p
	}
	p.wait.Go(func() { p.show(env.Err) })
	return p
}

// add counts n more bytes as done.
func (p *progress) add(n int) { p.done.Add(int64(n)) }

// finish removes the line.
func (p *progress) finish() {
	close(p.stop)
	p.wait.Wait()
}

func (p *progress) show(w io.Writer) {
	start, shown := time.Now(), false
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			if shown {
				fmt.Fprint(w, "\r\x1b[K")
			}
			return
		case now := <-tick.C:
			if now.Sub(start) >= time.Second {
				shown = true
				fmt.Fprintf(w, "\r\x1b[K%s … %.0f MB, %.0f s", p.label, float64(p.done.Load())/1e6, now.Sub(start).Seconds())
			}
		}
	}
}
