package softpiv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Slots is how many cards a [Daemon] takes: what Debian's vpcd is built for.
const Slots = 2

// Daemon is a pcscd of its own, with one virtual reader.
type Daemon struct {
	// Socket is what PCSCLITE_CSOCK_NAME must be for programs that are to see the
	// cards.
	Socket string

	cmd  *exec.Cmd
	dir  string
	port int // of slot 0; slot 1's is the next
	log  bytes.Buffer

	mu    sync.Mutex
	slots [Slots]*slot
}

// readerConf describes the reader (reader.conf(5)). By a name like this Yubico's
// tools know their own. vpcd listens for cards on every address of the machine;
// told a host, it looks for them there, but 3.3 ends pcscd once a slot is empty.
const readerConf = `FRIENDLYNAME "Yubico YubiKey OTP+FIDO+CCID"
DEVICENAME   /dev/null:%#x
LIBPATH      %s
CHANNELID    %#x
`

// begin runs pcscd where /run holds nothing but a folder of ours, in which its
// compiled-in socket then is.
const begin = `mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir /run/pcscd && mount --bind "$1" /run/pcscd && exec "$2" -f -x -c "$3"`

// Missing says what this machine lacks to run cards behind pcscd, or "".
func Missing(ctx context.Context) string {
	if _, err := pcscd(); err != nil {
		return "pcscd"
	}
	if _, err := driver(); err != nil {
		return "vsmartcard-vpcd (libifdvpcd.so, or its path in PLIMSOLL_VPCD)"
	}
	cmd := exec.CommandContext(ctx, "true")
	cmd.SysProcAttr = apart()
	if err := cmd.Run(); err != nil {
		return "the right to have a mount namespace"
	}
	return ""
}

func pcscd() (string, error) {
	if path, err := exec.LookPath("pcscd"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/pcscd")
}

func driver() (string, error) {
	path := os.Getenv("PLIMSOLL_VPCD")
	if path == "" {
		path = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
	}
	_, err := os.Stat(path)
	return path, err
}

// apart is a mount namespace, with a user namespace for whoever needs that to
// have one.
func apart() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// Start runs pcscd with the cards in its slots until Stop.
func Start(ctx context.Context, cards ...*Card) (*Daemon, error) {
	program, err := pcscd()
	if err != nil {
		return nil, fmt.Errorf("start pcscd: %w", err)
	}
	dir, err := os.MkdirTemp("", "softpiv") // short: a socket's path has at most 107 bytes
	if err != nil {
		return nil, fmt.Errorf("start pcscd: %w", err)
	}
	d := &Daemon{Socket: filepath.Join(dir, "run", "pcscd.comm"), dir: dir}
	conf, err := d.configure(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start pcscd: %w", err), os.RemoveAll(dir))
	}
	d.cmd = exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", begin, "sh", filepath.Dir(d.Socket), program, conf)
	d.cmd.SysProcAttr = apart()
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start pcscd: %w", err), os.RemoveAll(dir))
	}
	if err := d.begin(ctx, cards); err != nil {
		err = errors.Join(err, d.Stop()) //nolint:contextcheck // it is stopped also when ctx has ended
		return nil, fmt.Errorf("start pcscd: %w; it says %q", err, d.log.String())
	}
	return d, nil
}

// configure writes pcscd's configuration, with ports that are free.
func (d *Daemon) configure(ctx context.Context) (path string, err error) {
	library, err := driver()
	if err != nil {
		return "", err
	}
	if d.port, err = freePorts(ctx); err != nil {
		return "", err
	}
	path = filepath.Join(d.dir, "reader.conf")
	return path, errors.Join(
		os.Mkdir(filepath.Dir(d.Socket), 0o755),
		os.WriteFile(path, fmt.Appendf(nil, readerConf, d.port, library, d.port), 0o644))
}

// freePorts returns the first of two ports side by side.
func freePorts(ctx context.Context) (int, error) {
	var config net.ListenConfig
	for range 100 {
		first, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := first.Addr().(*net.TCPAddr).Port
		second, err := config.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		if err == nil {
			return port, errors.Join(first.Close(), second.Close())
		}
		if err := first.Close(); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("no two free ports side by side")
}

// begin waits for the daemon and inserts the cards.
func (d *Daemon) begin(ctx context.Context, cards []*Card) error {
	err := until(ctx, func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", d.Socket)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return err
	}
	for i, c := range cards {
		if err := d.insert(ctx, i, c); err != nil {
			return err
		}
	}
	for i := range cards {
		if err := d.await(ctx, i, present); err != nil {
			return err
		}
	}
	return nil
}

// Insert puts a card into an empty slot and returns when pcscd has seen it.
func (d *Daemon) Insert(ctx context.Context, i int, c *Card) error {
	if err := d.insert(ctx, i, c); err != nil {
		return err
	}
	return d.await(ctx, i, present)
}

func (d *Daemon) insert(ctx context.Context, i int, c *Card) error {
	s, err := insert(ctx, c, d.port+i)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slots[i] = s
	return nil
}

// Pull takes the card out of a slot, whatever it is doing.
func (d *Daemon) Pull(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.slots[i]; s != nil {
		if state, err := ask(context.Background(), d.Socket, i); err == nil {
			s.events = state.events
		}
		s.pull()
	}
}

// Gone returns when pcscd has seen that the card which was pulled out of a slot
// is gone. That a command failed is not enough for it: a card that comes back
// before it looks is never seen again.
func (d *Daemon) Gone(ctx context.Context, i int) error {
	d.mu.Lock()
	before := d.slots[i].events
	d.mu.Unlock()
	return d.await(ctx, i, func(s state) bool { return !s.present && s.events > before })
}

// await returns when what pcscd says of slot i is as wanted.
func (d *Daemon) await(ctx context.Context, i int, wanted func(state) bool) error {
	return until(ctx, func() error {
		s, err := ask(ctx, d.Socket, i)
		if err == nil && !wanted(s) {
			err = fmt.Errorf("slot %d: %+v", i, s)
		}
		return err
	})
}

func present(s state) bool { return s.present }

// until calls fn until it succeeds, for at most half a minute.
func until(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends the daemon and removes its folder.
func (d *Daemon) Stop() error {
	err := d.cmd.Process.Kill()
	_ = d.cmd.Wait() // killed, which is no news
	for i := range Slots {
		d.Pull(i)
		d.mu.Lock()
		s := d.slots[i]
		d.mu.Unlock()
		if s != nil {
			s.done.Wait()
		}
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}
