package piv_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/piv"
	"plimsoll/internal/tools/softpiv"
)

// TestGenerateSignAttest makes keys of both kinds and both generations of
// tokens, signs, lists and attests.
func TestGenerateSignAttest(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 12345678}, softpiv.Config{Serial: 555, Firmware: [3]byte{5, 2, 4}})
	p := d.provider(softpiv.PIN)
	roots, err := key.BuiltinAttestationRoots().With("soft", d.authority.PEM())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		uri       string
		algorithm key.Algorithm
		policies  key.Policies
		want      key.Attestation
	}{
		{"piv:serial=12345678;slot=9c", key.ECDSAP256, key.Policies{}, key.Attestation{
			Serial: "12345678", Firmware: "5.7.1", PIN: key.PolicyOnce, Touch: key.PolicyAlways, Slot: "9c",
		}},
		{"piv:slot=82;serial=12345678", key.Ed25519, key.Policies{PIN: key.PolicyAlways, Touch: key.PolicyCached}, key.Attestation{
			Serial: "12345678", Firmware: "5.7.1", PIN: key.PolicyAlways, Touch: key.PolicyCached, Slot: "82",
		}},
		{"PIV:serial=555;slot=9a", key.ECDSAP256, key.Policies{PIN: key.PolicyNever, Touch: key.PolicyNever}, key.Attestation{
			Serial: "555", Firmware: "5.2.4", PIN: key.PolicyNever, Touch: key.PolicyNever, Slot: "9a",
		}},
	}
	var listed []key.Info
	for _, tt := range tests {
		made := generate(t, p, tt.uri, tt.algorithm, tt.policies)
		signs(t, made, "made")
		info := made.(key.Described).Info()
		opened, err := p.Open(t.Context(), info.URI)
		if err != nil {
			t.Fatal(err)
		}
		signs(t, opened, strings.Repeat("opened", 400))
		chain, err := opened.(key.Attester).Attest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closeKey(t, opened)
		got, err := key.VerifyAttestation(made.Public(), chain, roots)
		if err != nil {
			t.Fatal(err)
		}
		tt.want.Maker, tt.want.FormFactor, tt.want.Fingerprint = "soft", "USB-A keychain", info.Fingerprint
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Error(diff)
		}
		listed = append(listed, info)
	}
	all, err := p.List(t.Context(), "piv:")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]key.Info{listed[2], listed[0], listed[1]}, all); diff != "" {
		t.Error(diff)
	}
	if want := "piv:serial=555;slot=9a"; all[0].URI != want || all[0].Where != "PIV token 555, slot 9a" {
		t.Errorf("got %+v", all[0])
	}
	one, err := p.List(t.Context(), "piv:slot=82;serial=12345678")
	if diff := cmp.Diff([]key.Info{listed[1]}, one); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

// TestWhatCannotBe is refused before anything is asked or changed.
func TestWhatCannotBe(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 1}, softpiv.Config{Serial: 2, Firmware: [3]byte{5, 4, 3}})
	p := d.provider("")
	open := func(uri string) error { _, err := p.Open(t.Context(), uri); return err }
	make := func(uri string, a key.Algorithm, policies key.Policies) error {
		_, err := p.GenerateWith(t.Context(), uri, a, policies)
		return err
	}
	list := func(uri string) error { _, err := p.List(t.Context(), uri); return err }
	refused(t, open("piv:slot=9c"), fault.Invalid, "2 tokens match", "say which: piv:serial=1;slot=9c")
	refused(t, open("piv:slot=9c;serial=3"), fault.Unavailable, "there is PIV token 1, PIV token 2", "key list piv:")
	refused(t, open("piv:slot=9c;reader=Nitrokey"), fault.Unavailable, "there is PIV token 1", "key list piv:")
	refused(t, open("piv:slot=9c;serial=1"), fault.NotFound, "slot 9c holds no key", "plimsoll key generate 'piv:serial=1;slot=9c'")
	refused(t, open("piv:slot=9c;reader=Yubico%20YubiKey%20OTP+FIDO+CCID%2000%2001"), fault.NotFound, "PIV token 2", "")
	refused(t, list("piv:serial=9"), fault.Unavailable, "no token matches", "")
	refused(t, make("piv:serial=2;slot=9c", key.Ed25519, key.Policies{}), fault.Unavailable, "Ed25519 begins with 5.7", "ecdsa-p256")
	refused(t, make("piv:serial=2;slot=9c", key.ECDSAP256, key.Policies{Touch: "twice"}), fault.Invalid, `unknown touch policy "twice"`, "")
	refused(t, make("piv:serial=2;slot=9c", key.ECDSAP256, key.Policies{PIN: "match-once"}), fault.Invalid, "unknown PIN policy", "")
	if asked, told := d.person.was(); len(asked)+len(told) > 0 {
		t.Errorf("asked %q, told %q", asked, told)
	}
	generate(t, p, "piv:serial=2;slot=9c", key.ECDSAP256, key.Policies{})
	refused(t, make("piv:serial=2;slot=9c", key.ECDSAP256, key.Policies{}), fault.Conflict, "slot 9c already holds the key sha256:", "choose another slot")
}

// TestManagementKeys makes keys with all ways to guard the management key.
func TestManagementKeys(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 1}, softpiv.Config{Serial: 2, Firmware: [3]byte{5, 4, 3}})
	random := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	for i, n := range []int{16, 24, 32} {
		secret := random(n)
		d.cards[0].SetManagementKey(secret, false)
		d.person.answers = []string{fmt.Sprintf("%x", secret)}
		generate(t, d.provider(""), fmt.Sprintf("piv:serial=1;slot=8%d", 2+i), key.ECDSAP256, key.Policies{})
	}
	asked, _ := d.person.was()
	if len(asked) != 3 || asked[0] != "management key of PIV token 1, in hex" {
		t.Errorf("asked %q", asked)
	}
	secret := random(24)
	d.cards[1].SetManagementKey(secret, true)
	configured := piv.New(piv.Config{Socket: d.Socket, ManagementKey: fmt.Sprintf("%x", secret)})
	generate(t, configured, "piv:serial=2;slot=9a", key.ECDSAP256, key.Policies{})
	_, err := d.provider("").Generate(t.Context(), "piv:serial=2;slot=9c", key.ECDSAP256)
	refused(t, err, fault.Unavailable, "nobody answers", "PLIMSOLL_PIV_MANAGEMENT_KEY")
	wrong := piv.New(piv.Config{Socket: d.Socket, ManagementKey: fmt.Sprintf("%x", random(24))})
	_, err = wrong.Generate(t.Context(), "piv:serial=2;slot=9c", key.ECDSAP256)
	refused(t, err, fault.Unavailable, "not the token's management key", "PLIMSOLL_PIV_MANAGEMENT_KEY")
	short := piv.New(piv.Config{Socket: d.Socket, ManagementKey: "0102"})
	_, err = short.Generate(t.Context(), "piv:serial=2;slot=9c", key.ECDSAP256)
	refused(t, err, fault.Unavailable, "it was not tried", "")
	d.cards[1].ProtectManagementKey()
	generate(t, d.provider(softpiv.PIN), "piv:serial=2;slot=9c", key.ECDSAP256, key.Policies{})
	if d.cards[1].Verified() {
		t.Error("the PIN stayed verified")
	}
}

// TestTwoProcesses has two providers, as two processes have, use one token at the
// same time: their transactions do not mix.
func TestTwoProcesses(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 1})
	uri := "piv:slot=9a"
	generate(t, d.provider(softpiv.PIN), uri, key.ECDSAP256, key.Policies{PIN: key.PolicyAlways, Touch: key.PolicyNever})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			s, err := d.provider(softpiv.PIN).Open(t.Context(), uri)
			if err != nil {
				t.Error(err)
				return
			}
			defer closeKey(t, s)
			for j := range 5 {
				sig, err := s.Sign(t.Context(), fmt.Append(nil, i, j))
				if err == nil {
					err = key.Verify(s.Public(), fmt.Append(nil, i, j), sig)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if d.cards[0].Verified() {
		t.Error("the PIN stayed verified")
	}
}

// TestTwoKeysOfOneToken are open at the same time, one with a cached touch.
func TestTwoKeysOfOneToken(t *testing.T) {
	var touches atomic.Int32
	d := sit(t, softpiv.Config{Serial: 1, Touch: func() bool { touches.Add(1); return true }})
	p := d.provider(softpiv.PIN)
	a := generate(t, p, "piv:slot=9a", key.ECDSAP256, key.Policies{Touch: key.PolicyCached})
	c := generate(t, p, "piv:slot=9c", key.ECDSAP256, key.Policies{Touch: key.PolicyNever})
	for range 3 {
		signs(t, a, "a")
		signs(t, c, "c")
	}
	if n := touches.Load(); n != 1 {
		t.Errorf("%d touches for three signatures with a cached touch", n)
	}
	closeKey(t, a)
	closeKey(t, c)
	if d.cards[0].Verified() {
		t.Error("the PIN stayed verified")
	}
	if _, err := a.Sign(t.Context(), nil); err == nil {
		t.Error("signed with a key that is closed")
	}
}

// TestKeptTokenIsLetGo: a key with a cached touch that stays open keeps its token
// from others only for as long as the touch serves.
func TestKeptTokenIsLetGo(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 1})
	p := d.provider(softpiv.PIN)
	p.SetTouchServes(time.Millisecond)
	s := generate(t, p, "piv:slot=9a", key.ECDSAP256, key.Policies{Touch: key.PolicyCached})
	for range 2 {
		signs(t, s, "m")
		other, err := d.provider(softpiv.PIN).Open(t.Context(), "piv:slot=9a")
		if err != nil {
			t.Fatal(err)
		}
		closeKey(t, other)
	}
}

// TestInterrupted ends the context while the token waits for a touch.
func TestInterrupted(t *testing.T) {
	wait, waits := make(chan bool), make(chan bool, 1)
	d := sit(t, softpiv.Config{Serial: 1, Touch: func() bool { waits <- true; return <-wait }})
	s := generate(t, d.provider(softpiv.PIN), "piv:slot=9c", key.ECDSAP256, key.Policies{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waits; cancel() }()
	_, err := s.Sign(ctx, []byte("m"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wait <- true // of the signature that nobody waits for
	go func() { <-waits; wait <- true }()
	signs(t, s, "again")
}

func TestNoDaemon(t *testing.T) {
	p := piv.New(piv.Config{Socket: t.TempDir() + "/none"})
	_, err := p.List(t.Context(), "piv:")
	refused(t, err, fault.Unavailable, "pcscd is not reached", "package pcscd")
	if !errors.Is(err, piv.ErrNoDaemon) {
		t.Error("it is not ErrNoDaemon")
	}
}
