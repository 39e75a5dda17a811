package agent

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// table is a resolver with fixed answers.
type table map[string][]string

func (r table) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	found, ok := r[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	var all []netip.Addr
	for _, s := range found {
		all = append(all, netip.MustParseAddr(s))
	}
	return all, nil
}

func TestEgress(t *testing.T) {
	r := table{
		"api.example.com": {"192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"}, "none.example.com": {},
		"here.example.com": {"127.0.0.1"}, "metadata.example.com": {"169.254.169.254"}, "all.example.com": {"0.0.0.0"},
	}
	got, named, err := egress(t.Context(), r, []string{"10.1.2.3/8:5432", "api.example.com:443", "[2001:db8::/32]:53", "192.0.2.9:80"})
	want := []string{"10.0.0.0/8:5432", "192.0.2.7/32:443", "192.0.2.9/32:80", "[2001:db8::1]/128:443", "[2001:db8::]/32:53"}
	if err != nil || !named || !slices.Equal(got, want) {
		t.Errorf("%q, %v, %v; want %q", got, named, err, want)
	}
	if got, named, err := egress(t.Context(), r, []string{"192.0.2.9:80"}); err != nil || named || len(got) != 1 {
		t.Errorf("%q, %v, %v", got, named, err)
	}
	for destination, kind := range map[string]fault.Kind{
		"unknown.example.com:1": fault.Unavailable, "none.example.com:1": fault.Unavailable, "here.example.com:1": fault.Denied,
		"metadata.example.com:1": fault.Denied, "all.example.com:1": fault.Denied, "api.example.com": fault.Invalid,
	} {
		if got, _, err := egress(t.Context(), r, []string{"192.0.2.9:80", destination}); !fault.Is(err, kind) {
			t.Errorf("%s: %q, %v", destination, got, err)
		}
	}
}

func TestNameServers(t *testing.T) {
	dir := t.TempDir()
	text := "# nameserver 192.0.2.1\nsearch example.com\nnameserver 127.0.0.11\nnameserver  fe80::1%eth0\nnameserver x\nnameserver\noptions ndots:0\n"
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readResolv(filepath.Join(dir, "resolv.conf"))
	if err != nil || !slices.Equal(got, []string{"127.0.0.11", "fe80::1"}) {
		t.Errorf("%q, %v", got, err)
	}
	all, err := nameServers([]string{dir, t.TempDir()})
	if err != nil || !slices.Contains(all, "127.0.0.11") {
		t.Errorf("%q, %v", all, err)
	}
}

func TestWhoUsesIDs(t *testing.T) {
	r := idmap.Range{Base: 1879048192, Size: idmap.SlotSize}
	for text, want := range map[string]bool{
		"         0          0 4294967295\n": false,
		"0 1879048192 65536\n":               true,
		"0 1879113727 1\n":                   true,
		"0 1879113728 65536\n":               false,
		"0 1000 1\n1 100000 65536\n":         false,
		"0 1000 1\n1 1879048191 2\n":         true,
		"":                                   false,
	} {
		if got, err := covers([]byte(text), r); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"0 1\n", "0 x 1\n", "0 1 99999999999\n"} {
		if _, err := covers([]byte(bad), r); err == nil {
			t.Errorf("%q is taken for a mapping", bad)
		}
	}
	if used, err := inUse(idmap.Range{Base: uint32(os.Getuid()), Size: 1}); err != nil || !used { // this process
		t.Errorf("our own ID: %v, %v", used, err)
	}
}

func FuzzResolv(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range parseResolv(b) {
			if _, err := netip.ParseAddr(s); err != nil {
				t.Errorf("%q", s)
			}
		}
	})
}
