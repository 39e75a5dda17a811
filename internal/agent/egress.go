package agent

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
)

const (
	resolveTime  = 5 * time.Second
	maxAddresses = 64 // of one name
	maxResolv    = 64 << 10
	hostResolv   = "/etc/resolv.conf"
)

// Resolver looks names up; [net.Resolver] does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// egress returns the addresses that destinations come to, as "PREFIX:PORT", and
// whether any of them has a name. A name that cannot be looked up is an error: it
// would be missing from the list in silence.
func egress(ctx context.Context, r Resolver, destinations []string) (addresses []string, named bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	for _, d := range destinations {
		host, port, ok := cutPort(d)
		if !ok {
			return nil, false, fault.Errorf(fault.Invalid, "destination %q has no port", d)
		}
		prefixes, isName, err := lookUp(ctx, r, host)
		if err != nil {
			return nil, false, err
		}
		named = named || isName
		for _, p := range prefixes {
			addresses = append(addresses, spell(p)+":"+port)
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), named, nil
}

func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	return strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]"), s[i+1:], true
}

func lookUp(ctx context.Context, r Resolver, host string) (prefixes []netip.Prefix, named bool, err error) {
	if p, err := netip.ParsePrefix(host); err == nil {
		return []netip.Prefix{p.Masked()}, false, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Prefix{netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())}, false, nil
	}
	found, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, true, fault.Errorf(fault.Unavailable, "look up the destination %q: %w", host, err)
	}
	if len(found) == 0 || len(found) > maxAddresses {
		return nil, true, fault.Errorf(fault.Unavailable, "the destination %q has %d addresses", host, len(found))
	}
	for _, a := range found {
		a = a.Unmap().WithZone("")
		if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
			return nil, true, fault.Errorf(fault.Denied, "the destination %q has the address %s, which names of others do not have", host, a)
		}
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	return prefixes, true, nil
}

// spell writes a prefix as grants do.
func spell(p netip.Prefix) string {
	if p.Addr().Is4() {
		return p.String()
	}
	address, bits, _ := strings.Cut(p.String(), "/")
	return "[" + address + "]/" + bits
}

// nameServers returns those that the container would ask, by the first of the
// files that there is, and those of the host, which the engine's own name server
// asks in the container's name. It reads resolv.conf(5).
func nameServers(own []string) ([]string, error) {
	var all []string
	for _, folder := range own {
		found, err := readResolv(filepath.Join(folder, "resolv.conf"))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	found, err := readResolv(hostResolv)
	if err != nil {
		return nil, err
	}
	all = append(all, found...)
	slices.Sort(all)
	return slices.Compact(all), nil
}

func readResolv(file string) ([]string, error) {
	b, err := durable.ReadFile(file, maxResolv)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	return parseResolv(b), nil
}

func parseResolv(b []byte) []string {
	var all []string
	for line := range bytes.Lines(b) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil {
			all = append(all, a.Unmap().WithZone("").String())
		}
	}
	return all
}

var _ Resolver = (*net.Resolver)(nil)
