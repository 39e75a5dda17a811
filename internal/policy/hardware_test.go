package policy_test

import (
	"strings"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
	"plimsoll/internal/verdict"
)

// token returns a root key in a token that meets all that the policy demands.
func token(change func(*policy.Token)) policy.RootKey {
	t := &policy.Token{Maker: "yubico", Serial: "42", Firmware: "5.7.1", Touch: "always"}
	if change != nil {
		change(t)
	}
	return policy.RootKey{Fingerprint: "sha256:9c41", Token: t}
}

// TestHardware judges by the demand of the publisher vault: attestation, a touch
// for each signature, firmware 5.7 or later, Yubico's roots.
func TestHardware(t *testing.T) {
	file := policy.RootKey{Fingerprint: "sha256:77ab"}
	claim := policy.RootKey{Fingerprint: "sha256:77ab", Problem: fault.Errorf(fault.Untrusted, "the attestation is another key's")}
	tests := []struct {
		name string
		keys []policy.RootKey
		err  error
		want string // in the message or the evidence; "" if allowed
	}{
		{"in tokens", []policy.RootKey{token(nil), token(nil)}, nil, ""},
		{"newer firmware", []policy.RootKey{token(func(t *policy.Token) { t.Firmware = "6.0.0" })}, nil, ""},
		{"no keys known", nil, nil, "no key of the root is known"},
		{"one in a file", []policy.RootKey{token(nil), file}, nil, "77ab: it is not attested"},
		{"a false claim", []policy.RootKey{claim}, nil, "does not count: the attestation is another key's"},
		{"another maker", []policy.RootKey{token(func(t *policy.Token) { t.Maker = "acme" })}, nil, `vouched for by "acme"`},
		{"no touch", []policy.RootKey{token(func(t *policy.Token) { t.Touch = "never" })}, nil, `wants a touch "never", not "always"`},
		{"a touch for several", []policy.RootKey{token(func(t *policy.Token) { t.Touch = "cached" })}, nil, `wants a touch "cached"`},
		{"old firmware", []policy.RootKey{token(func(t *policy.Token) { t.Firmware = "5.4.3" })}, nil, "firmware 5.4.3, not >=5.7"},
		{"firmware without sense", []policy.RootKey{token(func(t *policy.Token) { t.Firmware = "x" })}, nil, "firmware x"},
		{"not signed", nil, fault.Errorf(fault.Untrusted, "expired"), "nothing is known of the root's keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := facts()
			f.Publisher, f.RootKeys, f.SignedErr = "vault", tt.keys, tt.err
			r := outcome(t, load(t).Judge(t.Context(), now, "production", f), "hardware")
			if (r.Outcome == verdict.Allowed) != (tt.want == "") {
				t.Fatalf("got %+v", r)
			}
			if said := r.Message + strings.Join(r.Evidence, "\n"); !strings.Contains(said, tt.want) {
				t.Errorf("said %q, want %q", said, tt.want)
			}
		})
	}
}
