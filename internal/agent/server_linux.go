package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// Answerer answers the runtime; an [Agent] does.
type Answerer interface {
	Grant(ctx context.Context, q *protocol.Question) (*protocol.Grant, error)
	Deleted(ctx context.Context, q *protocol.Question) error
}

var _ Answerer = (*Agent)(nil)

// ServerConfig is what a server needs. Socket and Agent must be set.
type ServerConfig struct {
	Socket string // path; the folder is made, for root alone
	Agent  Answerer
	// Deadline is how long one answer may take, from the connection on; 0 means
	// nine seconds, less than what the runtime waits.
	Deadline time.Duration
	// AtOnce is how many are answered at the same time; 0 means 64. Others wait,
	// up to 1,000 of them.
	AtOnce int
	// UID is whom it answers: root, unless it is set.
	UID  uint32
	Warn func(error) // told of connections that were not answered; may be called concurrently
}

// Server answers runtimes on a unix socket.
type Server struct {
	config   ServerConfig
	listener *net.UnixListener
	slots    chan struct{}
	waiting  chan struct{}
	open     sync.WaitGroup
}

const (
	readTime   = 2 * time.Second // for a question, which its asker sends at once
	maxWaiting = 1000            // connections
)

// Listen makes the socket, which only its owner can reach. What was left there by
// a server that is gone is replaced.
func Listen(c ServerConfig) (*Server, error) {
	if c.Deadline <= 0 {
		c.Deadline = 9 * time.Second
	}
	if c.AtOnce <= 0 {
		c.AtOnce = 64
	}
	if c.Warn == nil {
		c.Warn = func(error) {}
	}
	folder := filepath.Dir(c.Socket)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	if err := os.Chmod(folder, 0o700); err != nil { // #nosec G302 -- a folder
		return nil, fault.As(fault.Unavailable, err)
	}
	if err := os.Remove(c.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.As(fault.Unavailable, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.Socket, Net: "unix"})
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	if err := os.Chmod(c.Socket, 0o600); err != nil {
		return nil, errors.Join(fault.As(fault.Unavailable, err), l.Close())
	}
	return &Server{config: c, listener: l, slots: make(chan struct{}, c.AtOnce), waiting: make(chan struct{}, maxWaiting)}, nil
}

// Run answers until ctx ends, and then waits for the answers that are under way.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	defer s.open.Wait()
	for {
		conn, err := s.listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fault.As(fault.Unavailable, err)
		case err != nil: // too many open files, for instance: it passes
			s.config.Warn(fmt.Errorf("accept a runtime: %w", err))
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case s.waiting <- struct{}{}:
		default:
			s.config.Warn(errors.Join(fault.Errorf(fault.Unavailable, "%d runtimes wait: no more", maxWaiting), conn.Close()))
			continue
		}
		s.open.Go(func() {
			defer func() { <-s.waiting }()
			if err := s.serve(context.WithoutCancel(ctx), conn); err != nil {
				s.config.Warn(err)
			}
		})
	}
}

// serve answers one question. Whatever goes wrong ends in a refusal or in a closed
// connection, which is one too.
func (s *Server) serve(ctx context.Context, conn *net.UnixConn) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.Errorf(fault.Internal, "answer a runtime: %v", r)
		}
		err = errors.Join(err, conn.Close())
	}()
	ctx, cancel := context.WithTimeout(ctx, s.config.Deadline)
	defer cancel()
	end, _ := ctx.Deadline()
	if err := conn.SetWriteDeadline(end.Add(time.Second)); err != nil { // for the refusal of what was late
		return err
	}
	if err := s.checkPeer(conn); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(readTime)); err != nil {
		return err
	}
	var q protocol.Question
	if err := readQuestion(conn, &q); err != nil {
		told := protocol.Write(conn, protocol.Refuse(err))
		if errors.Is(err, io.EOF) {
			return nil // whoever only looked whether somebody listens
		}
		return errors.Join(err, told)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		late := fault.Errorf(fault.Unavailable, "the guard has too much to do: %w", ctx.Err())
		return errors.Join(late, protocol.Write(conn, protocol.Refuse(late)))
	}
	return protocol.Write(conn, s.answer(ctx, &q))
}

// readQuestion reads one and checks it.
func readQuestion(r io.Reader, q *protocol.Question) error {
	if err := protocol.Read(r, q); err != nil {
		return err
	}
	return q.Validate()
}

// answer asks the agent. A panic there is a refusal.
func (s *Server) answer(ctx context.Context, q *protocol.Question) (out protocol.Answer) {
	defer func() {
		if r := recover(); r != nil {
			err := fault.Errorf(fault.Internal, "internal error")
			s.config.Warn(fault.Errorf(fault.Internal, "answer about container %s: %v", q.ID, r))
			out = protocol.Refuse(err)
		}
	}()
	if q.Verb == protocol.Deleted {
		if err := s.config.Agent.Deleted(ctx, q); err != nil {
			return protocol.Refuse(err)
		}
		return protocol.Answer{Version: protocol.Version}
	}
	g, err := s.config.Agent.Grant(ctx, q)
	switch {
	case err != nil:
		return protocol.Refuse(err)
	case g == nil:
		return protocol.Refuse(fault.Errorf(fault.Internal, "internal error"))
	}
	return protocol.Answer{Version: protocol.Version, Grant: g}
}

// checkPeer refuses whoever is not root: the socket's folder lets nobody else in,
// but a descriptor can be handed on.
func (s *Server) checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var bad error
	if err := raw.Control(func(fd uintptr) {
		peer, bad = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	if peer.Uid != s.config.UID {
		return fault.Errorf(fault.Denied, "user %d asked as if it were a runtime", peer.Uid)
	}
	return nil
}
