package egress

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// maxDestinations bounds what a table is made of; each destination is a rule
// that every first packet of a connection is compared with.
const maxDestinations = 1024

// nameService is the port of resolvers, of TCP and UDP.
const nameService = 53

// Rules say where packets may go. The zero value lets a container answer and
// nothing else.
type Rules struct {
	// Closed means that nothing comes in either: nothing but the loopback (network
	// mode none).
	Closed       bool
	Destinations []Destination
	Resolvers    []netip.Addr // may be asked on port 53
}

// Destination is a port of the addresses of a prefix, of TCP and UDP.
type Destination struct {
	Prefix netip.Prefix
	Port   uint16
}

// Parse reads destinations as grants have them, "10.0.0.0/8:5432",
// "[2001:db8::]/32:443" or a single address instead of a prefix, and resolvers,
// which are addresses. Names are not resolved here. Anything else, an address with
// a zone among them, is Invalid.
func Parse(destinations, resolvers []string) (Rules, error) {
	if len(destinations)+len(resolvers) > maxDestinations {
		return Rules{}, fault.Errorf(fault.Invalid, "%d destinations are more than %d", len(destinations)+len(resolvers), maxDestinations)
	}
	var r Rules
	for _, s := range destinations {
		d, err := parseDestination(s)
		if err != nil {
			return Rules{}, err
		}
		r.Destinations = append(r.Destinations, d)
	}
	for _, s := range resolvers {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return Rules{}, fault.Errorf(fault.Invalid, "resolver %q is not an address", s)
		}
		r.Resolvers = append(r.Resolvers, a.Unmap())
	}
	return r, nil
}

func parseDestination(s string) (Destination, error) {
	bad := fault.Errorf(fault.Invalid, "destination %q is not ADDRESS:PORT or ADDRESS/BITS:PORT", s)
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return Destination{}, bad
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil || port == 0 {
		return Destination{}, bad
	}
	host, bits, isPrefix := strings.Cut(s[:i], "/")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok && isPrefix { // [2001:db8::/32]:443
			bits, ok = strings.CutSuffix(bits, "]")
			host = inner
		}
		if _, err := netip.ParseAddr(host); !ok || err != nil || !strings.Contains(host, ":") {
			return Destination{}, bad
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return Destination{}, bad
	}
	prefix := netip.PrefixFrom(addr, addr.BitLen())
	if isPrefix {
		if prefix, err = netip.ParsePrefix(host + "/" + bits); err != nil {
			return Destination{}, bad
		}
	}
	if prefix, err = plain(prefix); err != nil {
		return Destination{}, err
	}
	return Destination{prefix, uint16(port)}, nil
}

// plain returns p without host bits, and as IPv4 if it is IPv4 mapped into IPv6:
// packets never bear such addresses.
func plain(p netip.Prefix) (netip.Prefix, error) {
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, fault.Errorf(fault.Invalid, "destination %q holds more than the mapped IPv4 addresses", p)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// bypasses are the capabilities with which a container's root changes the rules
// or sends packets that no rule sees.
var bypasses = []string{"NET_ADMIN", "NET_RAW"}

// Compatible refuses a profile whose capabilities would make its destinations
// meaningless. The error is Denied and names the field.
func Compatible(p *profile.Profile) error {
	if len(p.Network.Egress) == 0 {
		return nil
	}
	for _, c := range p.Capabilities {
		if slices.Contains(bypasses, c) {
			return fault.Errorf(fault.Denied, "the profile's network.egress cannot be enforced: a container with %s gets round it", c)
		}
	}
	return nil
}

// all returns every destination, resolvers included, checked and without
// duplicates.
func (r Rules) all() ([]Destination, error) {
	list := slices.Clone(r.Destinations)
	for _, a := range r.Resolvers {
		list = append(list, Destination{netip.PrefixFrom(a, a.BitLen()), nameService})
	}
	if len(list) > maxDestinations {
		return nil, fault.Errorf(fault.Invalid, "%d destinations are more than %d", len(list), maxDestinations)
	}
	var out []Destination
	for _, d := range list {
		p, err := plain(d.Prefix)
		if err != nil {
			return nil, err
		}
		if d.Prefix = p; !p.IsValid() || d.Port == 0 {
			return nil, fault.Errorf(fault.Invalid, "destination %v:%d is none", d.Prefix, d.Port)
		}
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out, nil
}
