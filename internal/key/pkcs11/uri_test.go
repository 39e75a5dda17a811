package pkcs11

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

func TestParseURI(t *testing.T) {
	tests := []struct {
		uri, want string // want is the normal form
	}{
		{"pkcs11:", "pkcs11:"},
		{"PKCS11:token=a", "pkcs11:token=a"},
		{"pkcs11:object=root;token=The%20Software%20Token", "pkcs11:token=The%20Software%20Token;object=root"},
		{"pkcs11:id=%00%aF%3b;serial=5f", "pkcs11:serial=5f;id=%00%AF%3B"},
		{"pkcs11:id=ab", "pkcs11:id=%61%62"},
		{"pkcs11:token=a&b(c)", "pkcs11:token=a%26b%28c%29"},
		{"pkcs11:slot-id=12;type=private", "pkcs11:slot-id=12;type=private"},
		{"pkcs11:?module-path=/usr/lib/a.so&pin-source=file:///etc/pin", "pkcs11:?pin-source=file:///etc/pin&module-path=/usr/lib/a.so"},
		{"pkcs11:object=%C3%A4?module-name=softhsm2", "pkcs11:object=%C3%A4?module-name=softhsm2"},
		{"pkcs11:library-version=2.6;model=SoftHSM%20v2", "pkcs11:model=SoftHSM%20v2;library-version=2.6"},
	}
	for _, tt := range tests {
		t.Run(tt.uri, func(t *testing.T) {
			u, err := parseURI(tt.uri)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, u.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseURIRefuses(t *testing.T) {
	tests := map[string]string{ // what the error says
		"token=a":                               "not a pkcs11: URI",
		"file:a":                                "not a pkcs11: URI",
		"pkcs11:tokn=a":                         `unknown attribute "tokn"`,
		"pkcs11:token":                          "no value",
		"pkcs11:token=":                         "no value",
		"pkcs11:token=a;":                       `unknown attribute ""`,
		"pkcs11:token=a;token=a":                "two attributes token",
		"pkcs11:token=a b":                      "must be written %20",
		"pkcs11:token=a%2":                      "cut percent-encoding",
		"pkcs11:token=a%":                       "cut percent-encoding",
		"pkcs11:token=%zz":                      "percent-encoding",
		"pkcs11:token=%+1":                      "percent-encoding",
		"pkcs11:token=%ff":                      "not UTF-8",
		"pkcs11:object=%00":                     "not UTF-8",
		"pkcs11:slot-id=-1":                     "not a number",
		"pkcs11:slot-id=99999999999":            "not a number",
		"pkcs11:type=cert":                      "not a key that signs",
		"pkcs11:?pin-value=1234":                "PIN does not belong",
		"pkcs11:pin-value=1234":                 "PIN does not belong",
		"pkcs11:?pin-source=%7Cps":              "only source",
		"pkcs11:?pin-source=file:pin":           "only source",
		"pkcs11:?pin-source=http://x/":          "only source",
		"pkcs11:?module-path=a.so":              "not an absolute path",
		"pkcs11:?module-name=../a":              "use module-path",
		"pkcs11:?x-vendor=1":                    `unknown attribute "x-vendor"`,
		"pkcs11:?module-path=/a?b=c":            "", // '?' may stand in a query
		"pkcs11:" + strings.Repeat("a", 5000):   "5007 bytes",
		"pkcs11:token=a\nplimsoll: error: fake": "must be written",
	}
	for uri, says := range tests {
		t.Run(uri[:min(len(uri), 40)], func(t *testing.T) {
			_, err := parseURI(uri)
			if says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
				t.Errorf("parseURI: %v", err)
			}
			if err != nil && strings.Contains(err.Error()+fault.HintOf(err), "1234") {
				t.Errorf("the PIN is in the message %q", err)
			}
		})
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=The%20Software%20Token;object=root;id=%01?pin-source=file:/etc/pin&module-path=/a.so")
	f.Add("pkcs11:slot-id=1;type=public?module-name=x")
	f.Add("pkcs11:?pin-value=1")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseURI(s)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		if len(u.String()) > maxURI { // escaping makes it longer
			return
		}
		again, err := parseURI(u.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", s, u, err)
		}
		if diff := cmp.Diff(u.path, again.path) + cmp.Diff(u.query, again.query); diff != "" {
			t.Fatal(diff)
		}
	})
}
