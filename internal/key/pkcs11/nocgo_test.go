//go:build !cgo

package pkcs11

import (
	"errors"
	"strings"
	"testing"

	"plimsoll/internal/fault"
)

func TestBuildWithoutCgoSaysSo(t *testing.T) {
	p := New(Config{})
	_, opened := p.Open(t.Context(), "pkcs11:token=x")
	_, made := p.Generate(t.Context(), "pkcs11:token=x;object=y", "ecdsa-p256")
	_, listed := p.List(t.Context(), "pkcs11:")
	for _, err := range []error{opened, made, listed} {
		if !fault.Is(err, fault.Unavailable) || !errors.Is(err, ErrNoModule) || !strings.Contains(fault.HintOf(err), "CGO_ENABLED=1") {
			t.Errorf("%v (%v, hint %q)", err, fault.KindOf(err), fault.HintOf(err))
		}
	}
	if _, err := p.Open(t.Context(), "pkcs11:tokn=x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a malformed URI: %v", err)
	}
}
