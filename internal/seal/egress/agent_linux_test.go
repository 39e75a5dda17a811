package egress_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

const agentName = "egress-agent"

func TestMain(m *testing.M) {
	if os.Args[0] == agentName {
		runAgent()
		return
	}
	os.Exit(m.Run())
}

// order is what an agent does in its network namespace.
type order struct {
	Do, Net, Addr string
	Args          []string
	Proto         int
	Data          []byte
}

// report is what became of it.
type report struct {
	Errno syscall.Errno
	Text  string
	Error string
}

// agent is a process in a network namespace of its own, which is, as a
// container's is, owned by a user namespace.
type agent struct {
	pid int
	in  *json.Encoder
	out *json.Decoder
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args[0] = agentName
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 1000}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, UidMappings: ids, GidMappings: ids,
		GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{}, Pdeathsig: syscall.SIGKILL,
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	return &agent{cmd.Process.Pid, json.NewEncoder(in), json.NewDecoder(out)}
}

func (a *agent) do(t *testing.T, o order) report {
	t.Helper()
	var r report
	if err := a.in.Encode(o); err != nil {
		t.Fatal(err)
	}
	if err := a.out.Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Error != "" {
		t.Fatalf("%+v: %s", o, r.Error)
	}
	return r
}

func (a *agent) ip(t *testing.T, line string, args ...any) {
	t.Helper()
	a.do(t, order{Do: "ip", Args: strings.Fields(fmt.Sprintf(line, args...))})
}

func runAgent() {
	runtime.LockOSThread()
	s := &server{heard: map[string][]string{}}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if in.Decode(&o) != nil {
			return
		}
		var r report
		if err := s.do(o, &r); err != nil && !errors.As(err, &r.Errno) {
			r.Error = err.Error()
		}
		_ = out.Encode(r)
	}
}

type server struct {
	udp   map[string]*net.UDPConn
	heard map[string][]string
}

func (s *server) do(o order, r *report) (err error) {
	switch o.Do {
	case "ip":
		b, err := exec.Command("ip", o.Args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(o.Args, " "), err, b)
		}
		return nil
	case "listen":
		return s.listen(o)
	case "hear":
		r.Text, err = hear(s.udp[o.Addr])
	case "dial":
		r.Text, err = dial(o)
	case "raw":
		return raw(o)
	case "get":
		b, err := os.ReadFile(o.Addr)
		r.Text = string(b)
		return err
	case "set":
		return os.WriteFile(o.Addr, o.Data, 0)
	case "wipe":
		return wipe()
	}
	return err
}

// listen serves one connection after the other over TCP, and opens a socket for
// hear over UDP.
func (s *server) listen(o order) error {
	if strings.HasPrefix(o.Net, "udp") {
		c, err := net.ListenUDP(o.Net, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(o.Addr)))
		if err != nil {
			return err
		}
		if s.udp == nil {
			s.udp = map[string]*net.UDPConn{}
		}
		s.udp[o.Addr] = c
		return nil
	}
	l, err := net.Listen(o.Net, o.Addr)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return nil
}

// hear waits for a datagram, answers it, and returns how long it is and how it
// begins.
func hear(c *net.UDPConn) (string, error) {
	buf := make([]byte, 1<<16)
	n, from, err := c.ReadFromUDPAddrPort(buf)
	if err != nil {
		return "", err
	}
	_, err = c.WriteToUDPAddrPort([]byte("heard"), from)
	return fmt.Sprintf("%d %.1s", n, buf[:n]), err
}

// dial sends data; over TCP it returns what came back.
func dial(o order) (string, error) {
	c, err := net.Dial(o.Net, o.Addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write(o.Data); err != nil || strings.HasPrefix(o.Net, "udp") {
		return "", err
	}
	back := make([]byte, len(o.Data))
	_, err = io.ReadFull(c, back)
	return string(back), err
}

// raw sends data as a whole packet of a protocol; 255 means that data begins
// with the header of IPv4, -1 is an echo request from a socket that needs no
// privilege.
func raw(o order) error {
	addr := netip.MustParseAddr(o.Addr)
	family, kind, proto := unix.AF_INET, unix.SOCK_RAW, o.Proto
	if addr.Is6() {
		family = unix.AF_INET6
	}
	if o.Proto < 0 {
		kind, proto = unix.SOCK_DGRAM, unix.IPPROTO_ICMP
		if addr.Is6() {
			proto = unix.IPPROTO_ICMPV6
		}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return fmt.Errorf("socket: %v", err) //nolint:errorlint // not what sending says
	}
	defer func() { _ = unix.Close(fd) }()
	if addr.Is6() {
		return unix.Sendto(fd, o.Data, 0, &unix.SockaddrInet6{Addr: addr.As16()})
	}
	return unix.Sendto(fd, o.Data, 0, &unix.SockaddrInet4{Addr: addr.As4()})
}

// wipe removes the table without CAP_NET_ADMIN, in the namespace that the
// agent's user namespace owns.
func wipe() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	data[0].Permitted &^= 1 << unix.CAP_NET_ADMIN
	if err := unix.Capset(&header, &data[0]); err != nil {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "plimsoll"})
	return c.Flush()
}
