package piv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"plimsoll/internal/fault"
)

// What is done with a token when a transaction or a link ends.
const (
	leave = 0
	reset = 1
)

// link is a connection to the token in a reader.
type link struct {
	daemon   *daemon
	handle   uint32
	protocol uint32 // 1: T=0, 2: T=1
}

// connect opens a link to the token in a reader, which others may have as well.
func (d *daemon) connect(ctx context.Context, name string) (*link, error) {
	const shared, anyProtocol = 2, 3
	padded := make([]byte, nameSize)
	if copy(padded, name); len(name) >= nameSize {
		return nil, fault.Errorf(fault.Unavailable, "a reader with a name of %d bytes", len(name))
	}
	body := append(words(d.context), padded...)
	body = append(body, words(shared, anyProtocol, 0, 0, 0)...)
	answer, err := d.call(ctx, commandConnect, body)
	if err != nil {
		return nil, err
	}
	const first = 1 + nameSize/4 // the word behind the name
	if err := returned(word(answer, first+4)).err(); err != nil {
		return nil, err
	}
	return &link{d, word(answer, first+2), word(answer, first+3)}, nil
}

// begin starts a transaction: until end, nobody else reaches the token. Another
// program's transaction is waited for; waiting is called once if there is one.
func (l *link) begin(ctx context.Context, waiting func()) error {
	const (
		pause = 100 * time.Millisecond
		limit = time.Minute
	)
	for waited := time.Duration(0); ; waited += pause {
		answer, err := l.daemon.call(ctx, commandBegin, words(l.handle, 0))
		if err != nil {
			return err
		}
		code := returned(word(answer, 1))
		if code != sharing || waited >= limit {
			return code.err()
		}
		if waited == 10*pause {
			waiting()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// end ends the transaction, with the token reset or left as it is, and the link.
// That the token is gone already is no error. It is done also when ctx has ended.
func (l *link) end(ctx context.Context, disposition uint32) error {
	err := l.finish(ctx, commandEnd, disposition)
	if err == nil {
		disposition = leave // it is done
	}
	return errors.Join(err, l.finish(ctx, commandDisconnect, disposition))
}

func (l *link) disconnect(ctx context.Context) error { return l.finish(ctx, commandDisconnect, leave) }

func (l *link) finish(ctx context.Context, command, disposition uint32) error {
	if l.daemon.lost {
		return nil // pcscd ends and resets what hung on the connection
	}
	answer, err := l.daemon.call(context.WithoutCancel(ctx), command, words(l.handle, disposition, 0))
	if err != nil {
		return fmt.Errorf("let go of the token: %w", err)
	}
	if code := returned(word(answer, 2)); !code.gone() && code != wasReset {
		return code.err()
	}
	return nil
}

// transmit sends an APDU and returns the answer with its status word. limit is
// how long the token may take.
func (l *link) transmit(ctx context.Context, apdu []byte, limit time.Duration) ([]byte, error) {
	const header = 8                                                                                 // bytes of SCARD_IO_REQUEST
	body := words(l.handle, l.protocol, header, uint32(len(apdu)), l.protocol, header, maxAnswer, 0) // #nosec G115 -- at most 261
	answer, err := l.daemon.exchange(ctx, commandTransmit, body, apdu, len(body), limit)
	if err != nil {
		return nil, err
	}
	if err := returned(word(answer, 7)).err(); err != nil {
		return nil, err
	}
	n := word(answer, 6)
	if n == 0 { // what some readers' drivers say of a token that is gone
		return nil, removed.err()
	}
	if n < 2 || n > maxAnswer {
		return nil, fault.Errorf(fault.Unavailable, "the token answered with %d bytes", n)
	}
	return l.daemon.receive(ctx, int(n))
}
