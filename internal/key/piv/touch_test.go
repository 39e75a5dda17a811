package piv_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/tools/softpiv"
)

// TestTouchIsAskedFor gives the touch only when somebody was told to.
func TestTouchIsAskedFor(t *testing.T) {
	told := make(chan string, 1)
	d := sit(t, softpiv.Config{Serial: 8, Touch: func() bool { <-told; return true }})
	d.person.heard = func(message string) {
		if strings.HasPrefix(message, "touch PIV token 8") {
			told <- message
		}
	}
	s := generate(t, d.provider(softpiv.PIN), "piv:slot=9c", key.ECDSAP256, key.Policies{})
	signs(t, s, "m")
}

// TestTouchNeverGiven: the token gives up, and nothing is lost.
func TestTouchNeverGiven(t *testing.T) {
	var touched atomic.Bool
	d := sit(t, softpiv.Config{Serial: 8, Touch: touched.Load})
	s := generate(t, d.provider(softpiv.PIN), "piv:slot=9c", key.ECDSAP256, key.Policies{})
	_, err := s.Sign(t.Context(), []byte("m"))
	refused(t, err, fault.Unavailable, "not touched in time", "touch the token's metal contact")
	if d.cards[0].Verified() || d.cards[0].Tries() != 3 {
		t.Error("the PIN stayed verified, or a try was spent")
	}
	touched.Store(true)
	signs(t, s, "again")
}

// TestPulledOutInTheMiddle takes the token away while it waits for a touch, and
// puts it back.
func TestPulledOutInTheMiddle(t *testing.T) {
	var d *desk
	var pull atomic.Bool
	pull.Store(true)
	d = sit(t, softpiv.Config{Serial: 8, Touch: func() bool {
		if pull.Load() {
			d.Pull(0)
		}
		return true
	}})
	s := generate(t, d.provider(softpiv.PIN), "piv:slot=9c", key.ECDSAP256, key.Policies{})
	_, err := s.Sign(t.Context(), []byte("m"))
	refused(t, err, fault.Unavailable, "sign with PIV token 8: the token was pulled out", "put it back")
	if err := d.Gone(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(t.Context(), []byte("m"))
	refused(t, err, fault.Unavailable, "was pulled out", "put it back")
	_, err = d.provider("").Open(t.Context(), "piv:slot=9c")
	refused(t, err, fault.Unavailable, "there is no PIV token", "put the token in")
	pull.Store(false)
	if err := d.Insert(t.Context(), 0, d.cards[0]); err != nil {
		t.Fatal(err)
	}
	signs(t, s, "again")
}

// TestAnotherTokenInItsPlace exchanges tokens between two signatures.
func TestAnotherTokenInItsPlace(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 8})
	other, err := softpiv.New(softpiv.Config{Serial: 9, Authority: d.authority})
	if err != nil {
		t.Fatal(err)
	}
	s := generate(t, d.provider("999999"), "piv:slot=9c", key.ECDSAP256, key.Policies{})
	d.Pull(0)
	if err := d.Gone(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Insert(t.Context(), 0, other); err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(t.Context(), []byte("m"))
	refused(t, err, fault.Unavailable, "another token is in its place now: PIV token 9", "")
	if other.Tries() != 3 {
		t.Error("the other token was given a PIN")
	}
}

// TestFactoryPIN is spoken of when a key is made, and not once it was changed.
func TestFactoryPIN(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 8})
	generate(t, d.provider(""), "piv:slot=9c", key.ECDSAP256, key.Policies{})
	if _, told := d.person.was(); len(told) != 1 || !strings.Contains(told[0], "PIN of PIV token 8 is still the factory's") {
		t.Errorf("told %q", told)
	}
	d.cards[0].Transmit([]byte("\x00\xa4\x04\x00\x05\xa0\x00\x00\x03\x08"))
	d.cards[0].Transmit([]byte("\x00\x24\x00\x80\x10123456\xff\xff654321\xff\xff"))
	generate(t, d.provider(""), "piv:slot=9a", key.ECDSAP256, key.Policies{})
	if _, told := d.person.was(); len(told) != 1 {
		t.Errorf("told %q", told)
	}
}
