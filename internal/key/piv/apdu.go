package piv

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"plimsoll/internal/fault"
)

// Instructions of SP 800-73-4, part 2, section 3, and Yubico's.
const (
	insVerify       = 0x20
	insGenerate     = 0x47
	insAuthenticate = 0x87
	insSelect       = 0xa4
	insResponse     = 0xc0
	insGetData      = 0xcb
	insMetadata     = 0xf7
	insSerial       = 0xf8
	insAttest       = 0xf9
	insVersion      = 0xfd
)

const (
	classMore  = 0x10     // the command goes on in the next APDU
	maxPart    = 255      // bytes of data in an APDU
	maxReply   = 16 << 10 // bytes of a whole answer
	maxCommand = 16 << 10 // bytes of a whole command
	maxParts   = 128      // of an answer: tokens fill them, with 254 bytes at least
)

// status is a status word that is not 9000.
type status uint16

// The status words that mean something here.
const (
	statusOK            status = 0x9000
	statusLength        status = 0x6700
	statusUnsatisfied   status = 0x6982
	statusBlocked       status = 0x6983
	statusData          status = 0x6a80
	statusNotFound      status = 0x6a82
	statusNoReference   status = 0x6a88
	statusNoInstruction status = 0x6d00
	statusWrongPIN      status = 0x63c0 // with the tries left in the last digit
)

// Error returns the status word as the standard writes it.
func (s status) Error() string { return fmt.Sprintf("the token answered %04x", uint16(s)) }

// tries returns how many tries a wrong PIN leaves, if that is what s says.
func (s status) tries() (int, bool) {
	if s == statusBlocked {
		return 0, true
	}
	return int(s & 0x0f), s&0xfff0 == statusWrongPIN
}

// command is a command for the token, of any length.
type command struct {
	ins, p1, p2 byte
	data        []byte
	limit       time.Duration // how long it may take; patience if it is 0
}

// send gives the token a command, in parts if it is long, and puts the parts of
// the answer together. An answer other than 9000 is a [status].
func (l *link) send(ctx context.Context, c command) ([]byte, error) {
	if len(c.data) > maxCommand {
		return nil, fault.Errorf(fault.Unavailable, "a command of %d bytes is too long for a token", len(c.data))
	}
	for len(c.data) > maxPart {
		if _, sw, err := l.part(ctx, classMore, c, c.data[:maxPart]); err != nil || sw != statusOK {
			return nil, orStatus(err, sw)
		}
		c.data = c.data[maxPart:]
	}
	reply, sw, err := l.part(ctx, 0, c, c.data)
	for parts := 1; err == nil && sw>>8 == 0x61; parts++ {
		var more []byte
		more, sw, err = l.part(ctx, 0, command{ins: insResponse}, nil)
		if reply = append(reply, more...); err == nil && (len(reply) > maxReply || len(more) == 0 || parts == maxParts) {
			return nil, fault.Errorf(fault.Unavailable, "the token's answer does not end")
		}
	}
	if err != nil || sw != statusOK {
		return nil, orStatus(err, sw)
	}
	return reply, nil
}

// part sends one APDU: a short one, which every reader takes.
func (l *link) part(ctx context.Context, class byte, c command, data []byte) ([]byte, status, error) {
	apdu := []byte{class, c.ins, c.p1, c.p2}
	if len(data) > 0 {
		apdu = append(append(apdu, byte(len(data))), data...) // #nosec G115 -- at most maxPart
	}
	limit := c.limit
	if limit == 0 {
		limit = patience
	}
	answer, err := l.transmit(ctx, append(apdu, 0), limit)
	if err != nil {
		return nil, 0, err
	}
	end := len(answer) - 2
	return answer[:end], status(binary.BigEndian.Uint16(answer[end:])), nil
}

func orStatus(err error, sw status) error {
	if err != nil {
		return err
	}
	return sw
}
