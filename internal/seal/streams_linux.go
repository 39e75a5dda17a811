package seal

import (
	"errors"
	"io"
	"os"
	"sync"
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
	inside [3]*os.File // the container's ends
	write  *os.File    // our end of its standard input
	wait   sync.WaitGroup
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
		p.wait.Go(func() {
			_, _ = io.Copy(w, r) // whoever reads us may end first; then the container gets SIGPIPE
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

// release closes the container's ends here, so that ours end with it.
func (p *pipes) release() error {
	var err error
	for _, f := range p.inside {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
