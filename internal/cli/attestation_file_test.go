package cli

import (
	"os"
	"strings"
	"testing"

	"plimsoll/internal/fault"
)

const realChain = "../key/testdata/yubikey-5.4.3.pem"

func TestParseChain(t *testing.T) {
	all, err := readChains([]string{realChain})
	if err != nil {
		t.Fatal(err)
	}
	for fingerprint, chain := range all {
		if !strings.HasPrefix(fingerprint, "sha256:") || len(chain) != 2 {
			t.Errorf("%s: %d certificates", fingerprint, len(chain))
		}
	}
	good, err := os.ReadFile(realChain)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "prose": "hello", "more behind": string(good) + "x", "too many": strings.Repeat(string(good), 5),
		"a key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "not a certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
	} {
		if _, _, err := parseChain([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readChains([]string{"nowhere.pem"}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func FuzzParseChain(f *testing.F) {
	good, err := os.ReadFile(realChain)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, fingerprint, err := parseChain(text); err == nil && fingerprint == "" {
			t.Fatal("no fingerprint")
		}
	})
}
