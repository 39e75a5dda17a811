//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
)

// code returns the CKR_ code in err's chain, or 0.
func code(err error) uint {
	var e pkcs11.Error
	if errors.As(err, &e) {
		return uint(e)
	}
	return pkcs11.CKR_OK
}

// explain says what a call on token t meant by its error code, and what to do
// about it. Everything that a token answers is Unavailable.
func explain(err error, doing string, t token) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s with %s: %w", doing, t, err)
	}
	wrap := func(said, hint string) error {
		e := fault.Errorf(fault.Unavailable, "%s: %s %s: %w", doing, t, said, err)
		if hint == "" {
			return e
		}
		return fault.Hint(e, "%s", hint)
	}
	switch code(err) {
	case pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_SESSION_HANDLE_INVALID,
		pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_SLOT_ID_INVALID:
		return wrap("was removed", "put the token back and run the command again")
	case pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_KEY_HANDLE_INVALID:
		return wrap("no longer holds the key", "somebody deleted it, or exchanged the token: plimsoll key list pkcs11:")
	case pkcs11.CKR_TOKEN_NOT_RECOGNIZED:
		return wrap("is not one that its module knows", "another module may know it: set PLIMSOLL_PKCS11_MODULE")
	case pkcs11.CKR_FUNCTION_CANCELED, pkcs11.CKR_FUNCTION_REJECTED:
		return wrap("was not touched in time, or somebody cancelled", "run the command again and touch the token when it blinks")
	case pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_DOMAIN_PARAMS_INVALID, pkcs11.CKR_KEY_TYPE_INCONSISTENT:
		return wrap("does not know this kind of key", "every token that signs knows --algorithm ecdsa-p256")
	case pkcs11.CKR_TEMPLATE_INCONSISTENT, pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID:
		return wrap("refuses a key that is to be made in it and never to leave it, or its label or ID", "some tokens have fixed IDs: name one in the URI, such as id=%02")
	case pkcs11.CKR_TOKEN_WRITE_PROTECTED, pkcs11.CKR_SESSION_READ_ONLY:
		return wrap("is write-protected", "")
	case pkcs11.CKR_DEVICE_MEMORY:
		return wrap("is full", "delete a key that is no longer used: pkcs11-tool --delete-object")
	case pkcs11.CKR_USER_NOT_LOGGED_IN:
		return wrap("wants a PIN that it did not ask for", "")
	case pkcs11.CKR_SESSION_COUNT:
		return wrap("takes no more sessions", "another program is using it: end that first")
	}
	return wrap("reports an error", "")
}

// closing joins what went wrong while something was closed.
func closing(t token, errs ...error) error {
	for i, err := range errs {
		if c := code(err); c == pkcs11.CKR_SESSION_HANDLE_INVALID || c == pkcs11.CKR_DEVICE_REMOVED ||
			c == pkcs11.CKR_SESSION_CLOSED || c == pkcs11.CKR_USER_NOT_LOGGED_IN || c == pkcs11.CKR_TOKEN_NOT_PRESENT {
			errs[i] = nil // it is closed already
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("close %s: %w", t, err))
	}
	return nil
}
