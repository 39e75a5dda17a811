package piv

import "plimsoll/internal/fault"

// returned is what pcscd returns (pcsclite.h).
type returned uint32

const (
	success        returned = 0
	unknownReader  returned = 0x80100009
	sharing        returned = 0x8010000b
	noCard         returned = 0x8010000c
	mismatch       returned = 0x8010000f
	notTransacted  returned = 0x80100016
	readerGone     returned = 0x80100017
	communication  returned = 0x8010002f
	internal       returned = 0x80100013
	serviceStopped returned = 0x8010001e
	unresponsive   returned = 0x80100066
	unpowered      returned = 0x80100067
	wasReset       returned = 0x80100068
	removed        returned = 0x80100069
	forbidden      returned = 0x8010006a
)

// gone reports whether r means that the token is not there any more.
func (r returned) gone() bool {
	switch r {
	case unknownReader, noCard, notTransacted, readerGone, communication, internal, removed:
		return true
	default:
		return false
	}
}

// unsettled reports whether r may be because another program ended its use of
// the token this moment, and pcscd resets it.
func (r returned) unsettled() bool {
	return r == wasReset || r == unresponsive || r == unpowered || r == mismatch
}

// codeError is what pcscd returned, with what that means.
type codeError struct {
	code returned
	error
}

func (e *codeError) Unwrap() error { return e.error }

// err returns what r means, or nil.
func (r returned) err() error {
	if r == success {
		return nil
	}
	return &codeError{r, r.meaning()}
}

func (r returned) meaning() error {
	switch {
	case r.gone():
		return fault.Errorf(fault.Unavailable, "the token was pulled out (pcscd: %#x)", uint32(r))
	case r == sharing:
		err := fault.Errorf(fault.Unavailable, "another program uses the token")
		return fault.Hint(err, "end it and run the command again; GnuPG lets go with: gpgconf --kill scdaemon")
	case r == unresponsive, r == unpowered, r == mismatch:
		return fault.Hint(fault.Errorf(fault.Unavailable, "the token does not answer"), "pull it out and put it back, the right way round")
	case r == wasReset:
		return fault.Hint(fault.Errorf(fault.Unavailable, "another program reset the token in the middle"), "run the command again")
	case r == forbidden:
		err := fault.Errorf(fault.Unavailable, "pcscd does not let this user use tokens")
		return fault.Hint(err, "its rules are polkit's: org.debian.pcsc-lite.access_card")
	case r == serviceStopped:
		return fault.Hint(fault.Errorf(fault.Unavailable, "pcscd is stopping"), "systemctl restart pcscd")
	}
	return fault.Errorf(fault.Unavailable, "pcscd returned %#x", uint32(r))
}
