// Package fault gives errors a kind that every transport can map once, and a
// hint that tells a person what to type next.
//
// A kind answers the caller's question "what should I do about it": look
// elsewhere (NotFound), mend the input (Invalid, Usage), stop (Denied,
// Untrusted), try again (Conflict, Unavailable). The text of an error is for
// people, its kind is for programs.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Kind classifies an error for the transport that reports it.
type Kind uint8

// The kinds of error. Internal is the zero value: an error that nobody
// classified is a mistake of ours.
const (
	Internal    Kind = iota // our mistake, or the machine's
	Usage                   // the command line is wrong
	Invalid                 // an input document or a name is malformed
	NotFound                // the thing named does not exist
	Denied                  // the evidence is valid but a rule refuses
	Untrusted               // evidence is missing, expired or wrong: signature, freshness, digest, cut stream
	Conflict                // somebody else changed it first
	Unavailable             // it could not be looked at: network, credentials, disk, token, PIN
)

var names = [...]string{"internal", "usage", "invalid", "not found", "denied", "untrusted", "conflict", "unavailable"}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

type kinded struct {
	kind Kind
	err  error
}

func (e *kinded) Error() string { return e.err.Error() }
func (e *kinded) Unwrap() error { return e.err }

type hinted struct {
	hint string
	err  error
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }

// Errorf returns an error of the given kind; the format is that of
// [fmt.Errorf], %w included.
func Errorf(kind Kind, format string, args ...any) error {
	return &kinded{kind, fmt.Errorf(format, args...)}
}

// As returns err with its kind set to kind, or nil if err is nil.
func As(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &kinded{kind, err}
}

// Hint returns err with a sentence that says what to do next, or nil if err is
// nil.
func Hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{fmt.Sprintf(format, args...), err}
}

// KindOf returns the outermost kind in err's chain. An error without one is
// Unavailable if it is a context's or a path that cannot be reached, NotFound
// if it is [fs.ErrNotExist], and Internal otherwise.
func KindOf(err error) Kind {
	var k *kinded
	switch {
	case errors.As(err, &k):
		return k.kind
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, fs.ErrPermission):
		return Unavailable
	}
	return Internal
}

// Is reports whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// HintOf returns the outermost hint in err's chain, or "".
func HintOf(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}
