package piv_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/tools/softpiv"
)

// TestPINs spends the tries of a token one by one.
func TestPINs(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 7})
	card := d.cards[0]
	p := d.provider("")
	s := generate(t, p, "piv:slot=9c", key.ECDSAP256, key.Policies{Touch: key.PolicyNever})
	sign := func() error { _, err := s.Sign(t.Context(), []byte("m")); return err }

	d.person.answers = []string{"12345", "123456789"}
	refused(t, sign(), fault.Unavailable, "6 to 8 characters, the one given has 5: it was not tried", "")
	refused(t, sign(), fault.Unavailable, "it was not tried", "")
	d.person.answers = []string{"999999"}
	refused(t, sign(), fault.Unavailable, "wrong PIN: 2 tries are left", "not tried again by itself")
	d.person.answers = []string{"999999"}
	refused(t, sign(), fault.Unavailable, "wrong PIN: one try is left", "")

	// The last one is not spent on a PIN that nobody typed.
	stored, err := d.provider("888888").Open(t.Context(), "piv:slot=9c")
	if err != nil {
		t.Fatal(err)
	}
	defer closeKey(t, stored)
	_, err = stored.Sign(t.Context(), nil)
	refused(t, err, fault.Unavailable, "not spent on a PIN that nobody typed", "unset PLIMSOLL_PIV_PIN")
	if card.Tries() != 1 {
		t.Errorf("%d tries are left", card.Tries())
	}

	// A right one gives all back, and is asked for once.
	d.person.answers = []string{softpiv.PIN}
	for range 2 {
		if err := sign(); err != nil {
			t.Fatal(err)
		}
	}
	asked, _ := d.person.was()
	want := []string{
		"PIN of PIV token 7 (3 tries left)", "PIN of PIV token 7 (3 tries left)", "PIN of PIV token 7 (3 tries left)",
		"PIN of PIV token 7 (2 tries left)", "PIN of PIV token 7 (one try is left, then it is blocked)",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	if card.Verified() {
		t.Error("the PIN stayed verified")
	}
}

// TestBlockedPIN finds a token blocked, and blocks one.
func TestBlockedPIN(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 7})
	s := generate(t, d.provider(""), "piv:slot=9c", key.ECDSAP256, key.Policies{Touch: key.PolicyNever})
	for range 2 {
		d.person.answers = append(d.person.answers, "999999")
		_, _ = s.Sign(t.Context(), nil)
	}
	d.person.answers = []string{"999999"}
	_, err := s.Sign(t.Context(), nil)
	refused(t, err, fault.Unavailable, "the PIN of PIV token 7 is blocked", "the PUK unblocks it")
	asked, _ := d.person.was()
	_, err = s.Sign(t.Context(), nil)
	refused(t, err, fault.Unavailable, "the PIN of PIV token 7 is blocked", "keys in it are not lost")
	if again, _ := d.person.was(); len(again) != len(asked) {
		t.Error("a PIN was asked for that cannot be right")
	}
}

// TestConfiguredPINIsTriedOnce: one provider does not try a wrong PIN again,
// whichever key it is for.
func TestConfiguredPINIsTriedOnce(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 7})
	p := d.provider("999999")
	for _, uri := range []string{"piv:slot=9a", "piv:slot=9c"} {
		s := generate(t, p, uri, key.ECDSAP256, key.Policies{})
		if _, err := s.Sign(t.Context(), nil); !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
		closeKey(t, s)
	}
	if tries := d.cards[0].Tries(); tries != 2 {
		t.Errorf("%d tries are left, want 2", tries)
	}
}

// TestPINForEverySignature asks each time.
func TestPINForEverySignature(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 7})
	s := generate(t, d.provider(""), "piv:slot=9c", key.ECDSAP256, key.Policies{PIN: key.PolicyAlways, Touch: key.PolicyNever})
	for range 2 {
		d.person.answers = []string{softpiv.PIN}
		signs(t, s, "m")
	}
	if asked, _ := d.person.was(); len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}
	never := generate(t, d.provider(""), "piv:slot=9a", key.ECDSAP256, key.Policies{PIN: key.PolicyNever, Touch: key.PolicyNever})
	signs(t, never, "without a PIN")
}
