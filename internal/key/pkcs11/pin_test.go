//go:build cgo

package pkcs11

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

func TestWrongPINIsTriedOnce(t *testing.T) {
	who := &typist{answers: []string{"0000", goodPIN}}
	p := newProvider(t, "release")
	generate(t, p, "pkcs11:object=root", key.ECDSAP256).Close() // closed again, and checked, at the end
	p.config.PIN, p.config.Prompter = "", who
	_, err := p.Open(t.Context(), "pkcs11:object=root")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "wrong PIN") || !strings.Contains(err.Error(), "does not tell the exact number") {
		t.Errorf("Open: %v", err)
	}
	if len(who.asked) != 1 {
		t.Errorf("asked %q", who.asked)
	}
	open(t, p, "pkcs11:object=root")
}

func TestPINsThatCannotBeRight(t *testing.T) {
	p := newProvider(t, "release")
	for _, pin := range []string{"1", strings.Repeat("1", 256)} {
		p.config.PIN = pin
		if _, err := p.Open(t.Context(), "pkcs11:object=root"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "not tried") {
			t.Errorf("PIN of %d: %v", len(pin), err)
		}
	}
	p.config.PIN, p.config.Prompter = "", &typist{answers: []string{""}}
	if _, err := p.Open(t.Context(), "pkcs11:object=root"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "empty") {
		t.Errorf("empty PIN: %v", err)
	}
	p.config.Prompter = nil
	_, err := p.Open(t.Context(), "pkcs11:object=root")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), "PLIMSOLL_PKCS11_PIN") {
		t.Errorf("nobody to ask: %v, hint %q", err, fault.HintOf(err))
	}
}

func TestPINSource(t *testing.T) {
	p := newProvider(t, "release")
	generate(t, p, "pkcs11:object=root", key.ECDSAP256).Close() // closed again, and checked, at the end
	p.config.PIN = "0000"                                       // pin-source comes first
	path := filepath.Join(t.TempDir(), "pin")
	tests := []struct {
		name, text string
		mode       os.FileMode
		says       string
	}{
		{"good", goodPIN + "\n", 0o600, ""},
		{"readable by others", goodPIN, 0o644, "only its owner"},
		{"two lines", goodPIN + "\n" + goodPIN + "\n", 0o600, "one line"},
		{"empty", "\n", 0o600, "one line"},
		{"too long", strings.Repeat("1", 300), 0o600, "one line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			s, err := p.Open(t.Context(), "pkcs11:object=root?pin-source=file:"+path)
			if tt.says != "" {
				if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("Open: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer closed(t, s)
			if uri := s.(*signer).Info().URI; !strings.HasSuffix(uri, "?pin-source=file:"+path) {
				t.Errorf("the URI %q does not open the key again", uri)
			}
		})
	}
	if _, err := p.Open(t.Context(), "pkcs11:object=root?pin-source=file:/nowhere/pin"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no file: %v", err)
	}
}

// SoftHSM never locks a PIN, so the flags of a token that does are laid down.
func TestLastTryIsNotSpentUnasked(t *testing.T) {
	who := &typist{answers: []string{goodPIN}}
	s := &session{provider: New(Config{PIN: goodPIN, Prompter: who})}
	s.token.info = pkcs11.TokenInfo{Label: "card", MinPinLen: 4, MaxPinLen: 8, Flags: pkcs11.CKF_USER_PIN_FINAL_TRY}
	if _, err := s.pin(t.Context(), uri{}, "PIN"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "one try is left") {
		t.Errorf("stored PIN: %v", err)
	}
	s.provider.config.PIN = ""
	if _, err := s.pin(t.Context(), uri{}, "PIN"); err != nil || !strings.Contains(who.asked[0], "one try is left") {
		t.Errorf("typed PIN: asked %q, %v", who.asked, err)
	}
	s.token.info.Flags = pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH
	if pin, err := s.pin(t.Context(), uri{}, "PIN"); pin != "" || err != nil || len(who.asked) != 1 {
		t.Errorf("a token with a PIN pad: %q, %v", pin, err)
	}
}

func TestLockedPINIsNotTried(t *testing.T) {
	s := &session{}
	s.token.info.Flags = pkcs11.CKF_USER_PIN_INITIALIZED | pkcs11.CKF_USER_PIN_LOCKED
	if err := s.openable(); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "is locked") {
		t.Errorf("openable: %v", err)
	}
}

func TestTokenWithoutUserPIN(t *testing.T) {
	p := newProvider(t)
	m, err := p.acquire(p.config.Module)
	if err != nil {
		t.Fatal(err)
	}
	slots, err := m.ctx.GetSlotList(true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Open(t.Context(), "pkcs11:")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "not initialised") {
		t.Errorf("no token: %v", err)
	}
	if err := m.ctx.InitToken(slots[0], "123456", "fresh"); err != nil {
		t.Fatal(err)
	}
	if err := p.release(m); err != nil {
		t.Fatal(err)
	}
	_, err = p.Open(t.Context(), "pkcs11:token=fresh")
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no user PIN") || !strings.Contains(fault.HintOf(err), "--init-pin") {
		t.Errorf("no user PIN: %v, hint %q", err, fault.HintOf(err))
	}
}

func TestExplain(t *testing.T) {
	tests := map[uint]string{
		pkcs11.CKR_DEVICE_REMOVED:         "was removed",
		pkcs11.CKR_SESSION_HANDLE_INVALID: "was removed",
		pkcs11.CKR_MECHANISM_INVALID:      "does not know this kind of key",
		pkcs11.CKR_FUNCTION_CANCELED:      "not touched in time",
		pkcs11.CKR_DEVICE_MEMORY:          "is full",
		pkcs11.CKR_DEVICE_ERROR:           "CKR_DEVICE_ERROR",
		pkcs11.CKR_VENDOR_DEFINED:         "reports an error",
	}
	card := token{info: pkcs11.TokenInfo{Label: "card", SerialNumber: "7"}}
	for c, says := range tests {
		err := explain(pkcs11.Error(c), "sign", card)
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `token "card" (serial "7")`) {
			t.Errorf("0x%x: %v", c, err)
		}
	}
	if explain(nil, "sign", card) != nil {
		t.Error("nil became an error")
	}
}
