package egress_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/egress"
)

// lan is a container and the rest of the world, on one link: the container has
// 192.0.2.200 and 2001:db8::200, the world 192.0.2.1–3, 2001:db8::1–2.
type lan struct{ container, world *agent }

func newLAN(t *testing.T) lan {
	t.Helper()
	lack := ""
	if os.Geteuid() != 0 {
		lack = "root"
	} else if _, err := exec.LookPath("ip"); err != nil {
		lack = "ip (iproute2)"
	}
	switch {
	case lack == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", lack)
	default:
		t.Skipf("needs %s", lack)
	}
	l := lan{newAgent(t), newAgent(t)}
	line := fmt.Sprintf("link add name e0 netns %d type veth peer name e0 netns %d", l.container.pid, l.world.pid)
	if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
	for _, a := range []*agent{l.container, l.world} {
		a.ip(t, "link set lo up")
	}
	for _, addr := range []string{"192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", "2001:db8::1/64", "2001:db8::2/64"} {
		l.world.ip(t, "addr add %s dev e0%s", addr, nodad(addr))
	}
	for _, addr := range []string{"192.0.2.200/24", "2001:db8::200/64"} {
		l.container.ip(t, "addr add %s dev e0%s", addr, nodad(addr))
	}
	l.container.ip(t, "link set e0 up")
	l.world.ip(t, "link set e0 up")
	for _, addr := range []string{"192.0.2.1:700", "192.0.2.1:701", "192.0.2.2:700", "192.0.2.3:53", "[2001:db8::1]:700", "[2001:db8::1]:701", "[2001:db8::2]:700"} {
		l.world.do(t, order{Do: "listen", Net: "tcp", Addr: addr})
		l.world.do(t, order{Do: "listen", Net: "udp", Addr: addr})
	}
	return l
}

func nodad(addr string) string {
	if strings.Contains(addr, "::") {
		return " nodad"
	}
	return ""
}

func (l lan) apply(t *testing.T, r egress.Rules) error {
	t.Helper()
	netns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", l.container.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = netns.Close() }()
	return egress.Apply(netns, r)
}

func (l lan) mustApply(t *testing.T, destinations, resolvers []string) {
	t.Helper()
	r, err := egress.Parse(destinations, resolvers)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.apply(t, r); err != nil {
		t.Fatal(err)
	}
}

// tcp connects, sends and is answered.
func (l lan) tcp(t *testing.T, addr string) syscall.Errno {
	t.Helper()
	r := l.container.do(t, order{Do: "dial", Net: "tcp", Addr: addr, Data: []byte("x")})
	if r.Errno == 0 && r.Text != "x" {
		t.Errorf("tcp to %s: the answer is %q", addr, r.Text)
	}
	return r.Errno
}

// udp sends a datagram of size bytes that begins with mark.
func (l lan) udp(t *testing.T, addr string, mark byte, size int) syscall.Errno {
	t.Helper()
	b := make([]byte, size)
	b[0] = mark
	return l.container.do(t, order{Do: "dial", Net: "udp", Addr: addr, Data: b}).Errno
}

// heard fails unless the next datagram that arrives at addr is the one with that
// mark: what was sent before it did not arrive, for the link keeps the order.
func (l lan) heard(t *testing.T, addr, want string) {
	t.Helper()
	if r := l.world.do(t, order{Do: "hear", Addr: addr}); r.Text != want {
		t.Errorf("at %s arrived %q, want %q", addr, r.Text, want)
	}
}

func TestOnlyListedDestinationsAreReached(t *testing.T) {
	l := newLAN(t)
	open := []string{"192.0.2.1:700", "192.0.2.1:701", "192.0.2.2:700", "192.0.2.3:53", "[2001:db8::1]:700", "[2001:db8::1]:701", "[2001:db8::2]:700"}
	for _, a := range open { // the control: all are there
		if errno := l.tcp(t, a); errno != 0 {
			t.Fatalf("without rules, %s: %v", a, errno)
		}
	}
	for range 2 { // doing it again is no harm
		l.mustApply(t, []string{"192.0.2.1/32:700", "[2001:db8::1]/128:700"}, []string{"192.0.2.3"})
	}
	listed := map[string]bool{"192.0.2.1:700": true, "[2001:db8::1]:700": true, "192.0.2.3:53": true}
	for _, a := range open {
		for _, size := range []int{1, 9000} { // whole, and in fragments
			errno := l.udp(t, a, 'a', size)
			if listed[a] && errno != 0 || !listed[a] && errno == 0 {
				t.Errorf("udp to %s: %v", a, errno)
			}
			if listed[a] {
				l.heard(t, a, fmt.Sprintf("%d a", size))
			}
		}
		if errno := l.tcp(t, a); listed[a] && errno != 0 || !listed[a] && errno == 0 {
			t.Errorf("tcp to %s: %v", a, errno)
		}
	}
	if errno := l.tcp(t, "192.0.2.200:9"); errno != syscall.ECONNREFUSED { // its own address, where nobody listens
		t.Errorf("tcp to itself: %v", errno)
	}
	l.mustApply(t, []string{"192.0.2.0/24:701"}, nil)
	if errno := l.tcp(t, "192.0.2.1:700"); errno == 0 {
		t.Error("a destination that was taken away is reached")
	}
	if errno := l.tcp(t, "192.0.2.1:701"); errno != 0 {
		t.Errorf("the new destination: %v", errno)
	}
}

func TestWhatComesInIsAnswered(t *testing.T) {
	l := newLAN(t)
	l.mustApply(t, nil, nil)
	for _, addr := range []string{"192.0.2.200:80", "[2001:db8::200]:80"} {
		l.container.do(t, order{Do: "listen", Net: "tcp", Addr: addr})
		r := l.world.do(t, order{Do: "dial", Net: "tcp", Addr: addr, Data: []byte("hi")})
		if r.Errno != 0 || r.Text != "hi" {
			t.Errorf("%s: %v, %q", addr, r.Errno, r.Text)
		}
	}
	if r := l.world.do(t, order{Do: "dial", Net: "tcp", Addr: "192.0.2.200:81", Data: []byte("hi")}); r.Errno != syscall.ECONNREFUSED {
		t.Errorf("a closed port should say so: %v", r.Errno)
	}
}

func TestClosed(t *testing.T) {
	l := newLAN(t)
	const addr = "192.0.2.200:80"
	l.container.do(t, order{Do: "listen", Net: "udp", Addr: addr})
	l.container.do(t, order{Do: "listen", Net: "tcp", Addr: "127.0.0.1:80"})
	if err := l.apply(t, egress.Rules{Closed: true}); err != nil {
		t.Fatal(err)
	}
	if errno := l.udp(t, "192.0.2.1:700", 'a', 1); errno == 0 {
		t.Error("udp left a closed container")
	}
	if errno := l.tcp(t, "127.0.0.1:80"); errno != 0 {
		t.Errorf("the loopback: %v", errno)
	}
	l.world.do(t, order{Do: "dial", Net: "udp", Addr: addr, Data: []byte("1")})
	l.mustApply(t, nil, nil)
	l.world.do(t, order{Do: "dial", Net: "udp", Addr: addr, Data: []byte("2")})
	if r := l.container.do(t, order{Do: "hear", Addr: addr}); r.Text != "1 2" {
		t.Errorf("into the closed container came %q", r.Text)
	}
}

func TestOtherProtocolsHaveNowhereToGo(t *testing.T) {
	l := newLAN(t)
	l.mustApply(t, []string{"192.0.2.1/32:700", "[2001:db8::1]/128:700"}, nil)
	l.container.do(t, order{Do: "set", Addr: "/proc/sys/net/ipv4/ping_group_range", Data: []byte("0 999")})
	port := binary.BigEndian.AppendUint16([]byte{0, 9}, 700)
	udp := append(port, 0, 12, 0, 0, 'r', 'a', 'w', '!') // as a UDP header; other protocols have the port there too
	echo := []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}
	for name, o := range map[string]order{
		"echo request":      {Addr: "192.0.2.1", Proto: unix.IPPROTO_ICMP, Data: echo},
		"unprivileged echo": {Addr: "192.0.2.1", Proto: -1, Data: echo},
		"echo reply":        {Addr: "192.0.2.1", Proto: unix.IPPROTO_ICMP, Data: []byte{0, 0, 0xff, 0xff, 0, 0, 0, 0}},
		"sctp":              {Addr: "192.0.2.1", Proto: unix.IPPROTO_SCTP, Data: udp},
		"dccp":              {Addr: "192.0.2.1", Proto: 33, Data: udp},
		"udplite":           {Addr: "192.0.2.1", Proto: 136, Data: udp},
		"ip in ip":          {Addr: "192.0.2.1", Proto: unix.IPPROTO_IPIP, Data: packet("192.0.2.1", 17, 0, udp)},
		"gre":               {Addr: "192.0.2.1", Proto: unix.IPPROTO_GRE, Data: udp},
		"experiment":        {Addr: "2001:db8::1", Proto: 253, Data: udp},
		"own advertisement": {Addr: "2001:db8::1", Proto: unix.IPPROTO_ICMPV6, Data: append([]byte{136, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)...)},
		"own solicitation":  {Addr: "2001:db8::2", Proto: unix.IPPROTO_ICMPV6, Data: append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)...)},
		"udp by hand":       {Addr: "192.0.2.2", Proto: 255, Data: packet("192.0.2.2", 17, 0, udp)},
		"other protocol 58": {Addr: "192.0.2.2", Proto: 58, Data: append([]byte{136, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 16)...)},
	} {
		o.Do = "raw"
		if r := l.container.do(t, o); r.Errno != syscall.EPERM {
			t.Errorf("%s: %v", name, r.Errno)
		}
	}
	if r := l.container.do(t, order{Do: "raw", Addr: "192.0.2.1", Proto: 255, Data: packet("192.0.2.1", 17, 0, udp)}); r.Errno != 0 {
		t.Errorf("the control, by hand to a listed destination: %v", r.Errno)
	}
	l.heard(t, "192.0.2.1:700", "4 r")

	// Over IPv6 the kernel does not say that it dropped an echo request.
	l.container.do(t, order{Do: "raw", Addr: "2001:db8::1", Proto: -1, Data: []byte{128, 0, 0, 0, 0, 0, 0, 0}})
	if errno := l.udp(t, "[2001:db8::1]:700", 'z', 1); errno != 0 {
		t.Fatal(errno)
	}
	l.heard(t, "[2001:db8::1]:700", "1 z")
	if got := l.world.do(t, order{Do: "get", Addr: "/proc/thread-self/net/snmp6"}).Text; !regexp.MustCompile(`Icmp6InEchos\s+0\n`).MatchString(got) {
		t.Errorf("an echo request left: %s", got)
	}
}

// Fragments are put together before they are judged: a port in another fragment
// than expected, or after the fact, is no way out.
func TestFragmentsAreNoWayOut(t *testing.T) {
	l := newLAN(t)
	l.mustApply(t, []string{"192.0.2.1/32:700"}, nil)
	const more = 0x2000
	whole := append(binary.BigEndian.AppendUint16([]byte{0, 9}, 701), 0, 24, 0, 0)
	whole = append(whole, "fragmented datagram!"[:16]...)
	send := func(fragment uint16, b []byte) {
		t.Helper()
		l.container.do(t, order{Do: "raw", Addr: "192.0.2.1", Proto: 255, Data: packet("192.0.2.1", 17, fragment, b)})
	}
	send(more, whole[:8])
	send(1, whole[8:])
	allowed := append(binary.BigEndian.AppendUint16([]byte{0, 9}, 700), whole[4:8]...)
	send(more, allowed) // overwritten by what follows
	send(more, whole[:8])
	send(1, whole[8:])
	send(2|more, whole[8:16]) // without a beginning
	l.mustApply(t, []string{"192.0.2.1/32:701"}, nil)
	if errno := l.udp(t, "192.0.2.1:701", 'z', 1); errno != 0 {
		t.Fatal(errno)
	}
	l.heard(t, "192.0.2.1:701", "1 z")
}

// packet is an IPv4 packet (RFC 791); the kernel adds its checksum and source.
func packet(to string, proto byte, fragment uint16, data []byte) []byte {
	h := make([]byte, 20, 20+len(data))
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(data)))
	binary.BigEndian.PutUint16(h[4:], 4711)
	binary.BigEndian.PutUint16(h[6:], fragment)
	dst := netip.MustParseAddr(to).As4()
	copy(h[16:], dst[:])
	return append(h, data...)
}

func TestContainerCannotChangeTheRules(t *testing.T) {
	l := newLAN(t)
	l.mustApply(t, nil, nil)
	if r := l.container.do(t, order{Do: "wipe"}); r.Errno != syscall.EPERM {
		t.Errorf("removing the table: %v", r.Errno)
	}
	if errno := l.tcp(t, "192.0.2.1:700"); errno == 0 {
		t.Error("the rules are gone")
	}
}

func TestManyDestinations(t *testing.T) {
	l := newLAN(t)
	var many []string
	for i := range 1023 {
		many = append(many, fmt.Sprintf("10.0.%d.%d:443", i/256, i%256))
	}
	l.mustApply(t, append(many, "192.0.2.1:700"), nil)
	if errno := l.tcp(t, "192.0.2.1:700"); errno != 0 {
		t.Error(errno)
	}
	if errno := l.tcp(t, "192.0.2.1:701"); errno == 0 {
		t.Error("a destination that is not listed is reached")
	}
}

func TestApplyRefusesWhatIsNotAContainersNetwork(t *testing.T) {
	for path, want := range map[string]fault.Kind{"/proc/self/ns/net": fault.Denied, "/proc/self/ns/pid": fault.Invalid, "/dev/null": fault.Invalid} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := egress.Apply(f, egress.Rules{}); !fault.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
		_ = f.Close()
	}
	if err := egress.Apply(nil, egress.Rules{}); err == nil {
		t.Error("nothing was taken for a network namespace")
	}
}

func TestHook(t *testing.T) {
	l := newLAN(t)
	state := fmt.Sprintf(`{"ociVersion":"1.0.2","id":"c1","status":"creating","pid":%d,"bundle":"/b"}`, l.container.pid)
	asked := ""
	err := egress.Hook(t.Context(), strings.NewReader(state), func(_ context.Context, id string) (egress.Rules, error) {
		asked = id
		return egress.Parse([]string{"192.0.2.1:700"}, nil)
	})
	if err != nil || asked != "c1" {
		t.Fatalf("asked for %q: %v", asked, err)
	}
	if errno := l.tcp(t, "192.0.2.1:700"); errno != 0 {
		t.Error(errno)
	}
	if errno := l.tcp(t, "192.0.2.2:700"); errno == 0 {
		t.Error("the hook set no rules")
	}
	none := func(context.Context, string) (egress.Rules, error) { return egress.Rules{}, nil }
	for _, bad := range []string{"", "{}", `{"id":"c1"}`, `{"id":"c1","pid":-1}`, `{"id":"","pid":5}`, `{"id":"c1","pid":"5"}`, `[]`, fmt.Sprintf(`{"id":"c1","pid":%d}`, os.Getpid())} {
		if err := egress.Hook(t.Context(), strings.NewReader(bad), none); err == nil {
			t.Errorf("state %q was taken", bad)
		}
	}
	refuse := func(context.Context, string) (egress.Rules, error) {
		return egress.Rules{}, fault.Errorf(fault.Denied, "no")
	}
	if err := egress.Hook(t.Context(), strings.NewReader(state), refuse); !fault.Is(err, fault.Denied) {
		t.Errorf("a refusal became %v", err)
	}
}
