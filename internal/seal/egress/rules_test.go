package egress_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/egress"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.0/8:5432":          "10.0.0.0/8 5432",
		"10.1.2.3/8:5432":          "10.0.0.0/8 5432",
		"192.0.2.7:443":            "192.0.2.7/32 443",
		"[2001:db8::1]/128:443":    "2001:db8::1/128 443",
		"[2001:db8::]/32:443":      "2001:db8::/32 443",
		"[2001:db8::/32]:443":      "2001:db8::/32 443",
		"2001:db8::/32:443":        "2001:db8::/32 443",
		"[2001:db8::1]:443":        "2001:db8::1/128 443",
		"[::ffff:192.0.2.7]:443":   "192.0.2.7/32 443",
		"[::ffff:10.0.0.0]/104:53": "10.0.0.0/8 53",
		"0.0.0.0/0:443":            "0.0.0.0/0 443",
		"[::]/0:443":               "::/0 443",
	} {
		r, err := egress.Parse([]string{in}, nil)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got := fmt.Sprint(r.Destinations[0].Prefix, r.Destinations[0].Port); strings.ReplaceAll(got, "  ", " ") != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{
		"", ":", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:+1", "api.example.com:443", "10.0.0/8:1", "10.0.0.0/33:1",
		"[10.0.0.1]:443", "[2001:db8::1:443", "2001:db8::1]:443", "[fe80::1%eth0]:443", "fe80::1%eth0/64:443", "[::ffff:0:0]/64:443", "10.0.0.0/08:1", "[2001:db8::/32]/32:1", "10.0.0.1:443 ", "*:443",
	} {
		if r, err := egress.Parse([]string{in}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is %v, %v; want it refused", in, r, err)
		}
	}
	if _, err := egress.Parse(nil, []string{"dns.example.com"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a resolver with a name: %v", err)
	}
	if _, err := egress.Parse(make([]string, 1025), nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("too many: %v", err)
	}
	r, err := egress.Parse(nil, []string{"192.0.2.53", "2001:db8::53"})
	if diff := cmp.Diff([]string{"192.0.2.53", "2001:db8::53"}, []string{r.Resolvers[0].String(), r.Resolvers[1].String()}); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestCompatible(t *testing.T) {
	for _, tt := range []struct {
		capabilities, egress []string
		ok                   bool
	}{
		{[]string{"NET_ADMIN", "NET_RAW"}, nil, true},
		{[]string{"CHOWN", "NET_BIND_SERVICE"}, []string{"10.0.0.1:1"}, true},
		{[]string{"CHOWN", "NET_ADMIN"}, []string{"10.0.0.1:1"}, false},
		{[]string{"NET_RAW"}, []string{"10.0.0.1:1"}, false},
	} {
		p := profile.Profile{Capabilities: tt.capabilities, Network: profile.Network{Mode: "bridge", Egress: tt.egress}}
		if err := egress.Compatible(&p); tt.ok && err != nil || !tt.ok && !fault.Is(err, fault.Denied) {
			t.Errorf("%v with %v: %v", tt.capabilities, tt.egress, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("10.0.0.0/8:5432")
	f.Add("[2001:db8::]/32:443")
	f.Add("[::ffff:10.0.0.0]/104:53")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := egress.Parse([]string{s}, nil)
		if err != nil {
			return
		}
		d := r.Destinations[0]
		if d.Prefix != d.Prefix.Masked() || d.Prefix.Addr().Is4In6() || d.Prefix.Addr().Zone() != "" || d.Port == 0 {
			t.Errorf("%q is %v", s, d)
		}
		again, err := egress.Parse([]string{fmt.Sprintf("%s:%d", d.Prefix, d.Port)}, nil)
		if err != nil || again.Destinations[0] != d {
			t.Errorf("%q is read as %v, which is read as %v, %v", s, d, again, err)
		}
	})
}

func ExampleParse() {
	r, err := egress.Parse([]string{"10.0.0.0/8:5432", "[2001:db8::1]:443"}, []string{"192.0.2.53"})
	fmt.Println(r.Destinations, r.Resolvers, err)
	fmt.Println(r.Destinations[0].Prefix.Contains(netip.MustParseAddr("10.2.3.4")))
	// Output:
	// [{10.0.0.0/8 5432} {2001:db8::1/128 443}] [192.0.2.53] <nil>
	// true
}
