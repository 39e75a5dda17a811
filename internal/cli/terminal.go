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
func (env *Env) Secret(ctx context.Context, prompt string) (secret []byte, err error) {
	if !isTerminal(env.In) {
		return nil, fault.Errorf(fault.Unavailable, "%s: nobody to ask: standard input is not a terminal", prompt)
	}
	fd := int(env.In.Fd())
	echoing, err := term.GetState(fd)
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, err)
	}
	env.line.mu.Lock() // until the answer is there, no progress is shown
	defer env.line.mu.Unlock()
	env.line.clear(env.Err)
	if err := hush(fd); err != nil { // before the prompt: who sees it may type at once
		return nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, err)
	}
	fmt.Fprintf(env.Err, "%s: ", prompt)
	defer func() {
		fmt.Fprintln(env.Err)
		if e := term.Restore(fd, echoing); e != nil && err == nil {
			secret, err = nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, e)
		}
	}()
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
		return nil, fault.Errorf(fault.Unavailable, "%s: %w", prompt, context.Cause(ctx))
	}
}

// Notify tells a person that something waits for them.
func (env *Env) Notify(message string) { env.tell("plimsoll: " + printable(message)) }

// warn says what went wrong without changing the outcome.
func (env *Env) warn(err error) { env.tell("plimsoll: warning: " + oneLine(err.Error())) }

// tell writes a line of its own to standard error.
func (env *Env) tell(message string) {
	env.line.mu.Lock()
	defer env.line.mu.Unlock()
	env.line.clear(env.Err)
	fmt.Fprintln(env.Err, message)
}

// line is the terminal's last line, on which progress is shown. Whoever writes
// to the terminal meanwhile holds mu and clears the line first.
type line struct {
	mu    sync.Mutex
	shown bool
}

// clear removes what the line shows; the caller holds mu.
func (l *line) clear(w io.Writer) {
	if l.shown {
		fmt.Fprint(w, "\r\x1b[K")
		l.shown = false
	}
}

// progress says on a terminal how far a long piece of work is, from its second
// second on. All methods may be called concurrently.
type progress struct {
	env   *Env
	label string
	done  atomic.Int64 // bytes
	stop  chan struct{}
	wait  sync.WaitGroup
}

// startProgress begins a line about label; the caller ends it with finish.
func (env *Env) startProgress(label string) *progress {
	p := &progress{env: env, label: label, stop: make(chan struct{})}
	if isTerminal(env.Err) {
		p.wait.Go(p.show)
	}
	return p
}

// during runs fn, and says so from its second second on.
func (env *Env) during(label string, fn func() error) error {
	p := env.startProgress(label)
	defer p.finish()
	return fn()
}

// add counts n more bytes as done.
func (p *progress) add(n int) { p.done.Add(int64(n)) }

// finish removes the line.
func (p *progress) finish() {
	close(p.stop)
	p.wait.Wait()
}

func (p *progress) show() {
	start := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			p.env.line.mu.Lock()
			defer p.env.line.mu.Unlock()
			p.env.line.clear(p.env.Err)
			return
		case now := <-tick.C:
			if now.Sub(start) >= time.Second {
				p.draw(now.Sub(start))
			}
		}
	}
}

func (p *progress) draw(since time.Duration) {
	p.env.line.mu.Lock()
	defer p.env.line.mu.Unlock()
	p.env.line.clear(p.env.Err)
	p.env.line.shown = true
	fmt.Fprintf(p.env.Err, "%s … ", p.label)
	if n := p.done.Load(); n > 0 {
		fmt.Fprintf(p.env.Err, "%.0f MB, ", float64(n)/1e6)
	}
	fmt.Fprintf(p.env.Err, "%.0f s", since.Seconds())
}
