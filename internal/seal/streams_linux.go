package seal

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// Streams are the container's standard streams. The container gets pipes, never
// the files themselves: a terminal or a folder of the host's would be a way
// back. A nil In is empty; a nil Out or Err is thrown away.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// pipes connect a container's standard streams.
type pipes struct {
	inside  [3]*os.File // the container's ends
	write   *os.File    // our end of its standard input
	outside []*os.File  // our ends of standard output and error
	wait    sync.WaitGroup
}

// connect makes the pipes and begins to copy. Nobody waits for In: it may be a
// terminal at which nobody types.
func (s Streams) connect() (*pipes, error) {
	p := new(pipes)
	var err error
	if p.inside[0], p.write, err = os.Pipe(); err != nil {
		return nil, err
	}
	for i, w := range []io.Writer{s.Out, s.Err} {
		if w == nil {
			w = io.Discard
		}
		r, inside, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(err, p.release(), p.write.Close())
		}
		p.inside[i+1] = inside
		p.outside = append(p.outside, r)
		p.wait.Go(func() {
			_, err := io.Copy(w, r) // whoever reads us may end first; then the container gets SIGPIPE
			if errors.Is(err, os.ErrDeadlineExceeded) {
				rest(w, r)
			}
			_ = r.Close()
		})
	}
	if s.In == nil {
		return p, p.write.Close()
	}
	go func() {
		_, _ = io.Copy(p.write, s.In) // the container may end first
		_ = p.write.Close()
	}()
	return p, nil
}

// Limits of what is still read when a container's first process has ended.
const (
	maxPipe   = 1 << 20                // bytes that a pipe holds (fs.pipe-max-size)
	drainTime = 100 * time.Millisecond // without anything to read
)

// drain waits until all that the container wrote was passed on. What it wrote is
// in the pipes when its first process has ended, for all others ended before. But
// another container may hold an end of them that this one sent to it: so nobody
// waits for those to end.
func (p *pipes) drain() {
	for _, r := range p.outside {
		_ = r.SetReadDeadline(time.Now()) // fails if it was read to its end and closed
	}
	p.wait.Wait()
}

// rest passes on what a pipe still holds.
func rest(w io.Writer, r *os.File) {
	if r.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	b, _ := io.ReadAll(io.LimitReader(r, maxPipe)) // until the end, or until nothing comes
	_, _ = w.Write(b)                              // as above
}

// release closes the container's ends here, so that ours end with it. A second
// call does nothing.
func (p *pipes) release() error {
	var err error
	for i, f := range p.inside {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		p.inside[i] = nil
	}
	return err
}
