package piv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"

	"plimsoll/internal/fault"
)

// The protocol of pcscd's socket (pcsc-lite, winscard_msg.h), as of version 4.4,
// which daemons from 1.9.2 (2021) on speak. Numbers are in the machine's order.
const (
	protocolMajor = 4
	protocolMinor = 4
	oldestMinor   = 3 // which differs in commands that are not used here
	newestMinor   = 5 // that is asked for by daemons which take nothing but their own

	commandEstablish  = 0x01
	commandConnect    = 0x04
	commandDisconnect = 0x06
	commandBegin      = 0x07
	commandEnd        = 0x08
	commandTransmit   = 0x09
	commandVersion    = 0x11
	commandReaders    = 0x12
)

const (
	maxAnswer = 65536 + 12       // bytes of an APDU's answer, pcsc-lite's own limit
	patience  = 30 * time.Second // for everything that no person is needed for
)

// daemon is a connection to pcscd. It may be used by one goroutine at a time.
type daemon struct {
	conn    net.Conn
	context uint32
	lost    bool // an answer was not waited for: nothing more can be asked
}

// dial connects to the daemon at a socket and agrees on the protocol.
func dial(ctx context.Context, socket string) (*daemon, error) {
	minor := uint32(protocolMinor)
	for {
		d, theirs, err := greet(ctx, socket, minor)
		if err != nil {
			return nil, err
		}
		if d != nil {
			return d, d.establish(ctx)
		}
		if theirs == minor || theirs < oldestMinor || theirs > newestMinor || minor != protocolMinor {
			return nil, fault.Errorf(fault.Unavailable, "pcscd speaks version %d.%d of its protocol; known here are %d.%d to %d.%d",
				protocolMajor, theirs, protocolMajor, oldestMinor, protocolMajor, newestMinor)
		}
		minor = theirs
	}
}

// greet opens a connection and says which version it speaks. If pcscd wants
// another, that is returned in place of the connection.
func greet(ctx context.Context, socket string, minor uint32) (*daemon, uint32, error) {
	conn, err := connect(ctx, socket)
	if err != nil {
		return nil, 0, unreachable(ctx, socket, err)
	}
	d := &daemon{conn: conn}
	answer, err := d.call(ctx, commandVersion, words(protocolMajor, minor, 0))
	if err != nil {
		return nil, 0, errors.Join(err, d.close())
	}
	major, theirs, code := word(answer, 0), word(answer, 1), returned(word(answer, 2))
	switch {
	case code == success:
		return d, theirs, nil
	case major == protocolMajor:
		return nil, theirs, d.close()
	}
	return nil, 0, errors.Join(fault.Errorf(fault.Unavailable, "pcscd speaks version %d of its protocol, not %d", major, protocolMajor), d.close())
}

// connect opens the socket, behind which only one program can wait: the next is
// told to come again.
func connect(ctx context.Context, socket string) (net.Conn, error) {
	const pause = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "unix", socket)
		if !errors.Is(err, syscall.EAGAIN) || waited > patience {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

func unreachable(ctx context.Context, socket string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("reach pcscd: %w", ctx.Err())
	}
	e := fault.Errorf(fault.Unavailable, "%w: %w", ErrNoDaemon, err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Hint(e, "install it (package pcscd) or start it: systemctl start pcscd.socket; PCSCLITE_CSOCK_NAME names another socket than %s", socket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.Hint(e, "start it: systemctl restart pcscd.socket")
	}
	return e
}

// ErrNoDaemon says that pcscd, through which tokens are reached, is not there.
var ErrNoDaemon = errors.New("pcscd is not reached")

func (d *daemon) establish(ctx context.Context) error {
	const system = 2 // the scope, which pcscd does not look at
	answer, err := d.call(ctx, commandEstablish, words(system, 0, 0))
	if err == nil {
		err = returned(word(answer, 2)).err()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("begin with pcscd: %w", err), d.close())
	}
	d.context = word(answer, 1)
	return nil
}

// call sends a command and receives its answer, which has the same form.
func (d *daemon) call(ctx context.Context, command uint32, body []byte) ([]byte, error) {
	return d.exchange(ctx, command, body, nil, len(body), patience)
}

// exchange sends a command with extra bytes behind it and receives size bytes.
// Nobody waits longer than limit; if ctx ends first, the connection cannot be used
// any more, and pcscd resets the token.
func (d *daemon) exchange(ctx context.Context, command uint32, body, extra []byte, size int, limit time.Duration) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = d.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := d.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, d.broken(ctx, err)
	}
	if ctx.Err() != nil {
		return nil, d.broken(ctx, ctx.Err())
	}
	message := append(words(uint32(len(body)), command), body...) // #nosec G115 -- less than a kilobyte
	if _, err := d.conn.Write(append(message, extra...)); err != nil {
		return nil, d.broken(ctx, err)
	}
	return d.receive(ctx, size)
}

func (d *daemon) receive(ctx context.Context, size int) ([]byte, error) {
	answer := make([]byte, size)
	if _, err := io.ReadFull(d.conn, answer); err != nil {
		return nil, d.broken(ctx, err)
	}
	return answer, nil
}

// broken says why the connection ended.
func (d *daemon) broken(ctx context.Context, err error) error {
	d.lost = true
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fault.Hint(fault.Errorf(fault.Unavailable, "pcscd did not answer in time"), "pull the token out and put it back, or: systemctl restart pcscd")
	}
	return fault.Errorf(fault.Unavailable, "the connection to pcscd broke: %w", err)
}

// close ends the connection, and with it everything that was begun over it.
func (d *daemon) close() error {
	if err := d.conn.Close(); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("leave pcscd: %w", err))
	}
	return nil
}

// words writes 32-bit numbers as the protocol does.
func words(numbers ...uint32) []byte {
	b := make([]byte, 0, 4*len(numbers))
	for _, n := range numbers {
		b = binary.NativeEndian.AppendUint32(b, n)
	}
	return b
}

// word returns number i of an answer, which is long enough.
func word(b []byte, i int) uint32 { return binary.NativeEndian.Uint32(b[4*i:]) }
