//go:build linux

package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The pages' hosts have no systemd. What follows does, of the units that are in
// /etc/systemd/system, what the pages' commands need: it opens sockets and hands
// them over, waits until a service says that it is ready, and ends services. It
// reads the very units that "plimsoll guard install" writes.

func init() {
	programs["systemctl"], programs["systemd-tmpfiles"] = systemctl, tmpfiles
}

const unitFolder = "/etc/systemd/system"

// systemctl is "systemctl start|stop|restart|is-active|daemon-reload UNIT...".
func systemctl() {
	if err := systemctlDo(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "systemctl:", err)
		os.Exit(1)
	}
}

func systemctlDo(args []string) error {
	if len(args) == 0 {
		return errors.New("what to do?")
	}
	var errs []error
	for _, name := range args[1:] {
		u, err := readUnit(name)
		if err != nil {
			return err
		}
		switch args[0] {
		case "start":
			err = u.start()
		case "stop":
			err = u.stop()
		case "restart":
			err = errors.Join(u.stop(), u.start())
		default:
			err = fmt.Errorf("%q is not done here", args[0])
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

type pageUnit struct {
	name   string
	values map[string][]string // by key
}

// readUnit reads a unit and its drop-ins.
func readUnit(name string) (*pageUnit, error) {
	u := &pageUnit{name: name, values: map[string][]string{}}
	if !strings.Contains(name, ".") {
		u.name += ".service"
	}
	files, err := filepath.Glob(filepath.Join(unitFolder, u.name+".d", "*.conf"))
	if err != nil {
		return nil, err
	}
	for _, file := range slices.Insert(files, 0, filepath.Join(unitFolder, u.name)) {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			switch {
			case !ok || strings.HasPrefix(key, "#"):
			case value == "":
				delete(u.values, key)
			default:
				u.values[key] = append(u.values[key], value)
			}
		}
	}
	return u, nil
}

func (u *pageUnit) value(key string) string {
	if v := u.values[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (u *pageUnit) file(kind string) string { return "/run/" + kind + "-" + u.name }

// running returns the service's process, 0 if it does not run.
func (u *pageUnit) running() int {
	b, err := os.ReadFile(u.file("pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		return 0
	}
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || strings.Contains(string(state), ") Z ") {
		return 0
	}
	return pid
}

func (u *pageUnit) stop() error {
	if strings.HasSuffix(u.name, ".socket") { // its file stays; the service alone has it open
		return nil
	}
	pid := u.running()
	if pid == 0 {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for range 600 {
		if u.running() == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s does not end", u.name)
}

// start starts a service. Sockets are opened with the services that get them.
func (u *pageUnit) start() error {
	if strings.HasSuffix(u.name, ".socket") || u.running() != 0 {
		return nil
	}
	for _, want := range u.values["Wants"] {
		for name := range strings.FieldsSeq(want) {
			other, err := readUnit(name)
			if err != nil {
				continue // what is wanted need not be there
			}
			if err := other.start(); err != nil {
				return err
			}
		}
	}
	words := strings.Fields(u.value("ExecStart"))
	script := `exec "$@"`
	if u.value("NoNewPrivileges") == "yes" {
		words = append([]string{"setpriv", "--no-new-privs"}, words...)
	}
	if mask := u.value("UMask"); mask != "" {
		script = "umask " + mask + "; " + script
	}
	cmd := exec.Command("bash", append([]string{"-c", "export LISTEN_PID=$$; " + script, "bash"}, words...)...)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LISTEN_FDS=0"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if name := u.value("Requires"); name != "" {
		f, err := openSocket(name)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
		cmd.Env[1] = "LISTEN_FDS=1"
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: u.file("notify"), Net: "unixgram"})
	if err != nil {
		return err
	}
	defer os.Remove(u.file("notify"))
	defer notify.Close()
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+u.file("notify"))
	log, err := os.OpenFile(u.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); _ = notify.Close() }()
	if err := os.WriteFile(u.file("pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	return awaitReady(u, notify, ended)
}

// awaitReady waits until a service says that it is ready, or ends.
func awaitReady(u *pageUnit, notify *net.UnixConn, ended chan error) error {
	said := make([]byte, 4096)
	for {
		n, err := notify.Read(said)
		if err != nil {
			b, _ := os.ReadFile(u.file("log"))
			return fmt.Errorf("%s ended: %w\n%s", u.name, <-ended, b[max(0, len(b)-2000):])
		}
		if slices.Contains(strings.Split(string(said[:n]), "\n"), "READY=1") {
			return nil
		}
	}
}

// openSocket opens the socket of a unit, as its settings say.
func openSocket(name string) (*os.File, error) {
	u, err := readUnit(name)
	if err != nil {
		return nil, err
	}
	path := u.value("ListenStream")
	if mode := u.value("DirectoryMode"); mode != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	defer l.Close()
	mode, err := strconv.ParseUint(u.value("SocketMode"), 8, 32)
	if err != nil {
		return nil, err
	}
	group, err := user.LookupGroup(u.value("SocketGroup"))
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chown(path, 0, gid), os.Chmod(path, os.FileMode(mode))); err != nil {
		return nil, err
	}
	return l.File()
}

// tmpfiles is "systemd-tmpfiles --create FILE" for lines of folders.
func tmpfiles() {
	f, err := os.Open(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "systemd-tmpfiles:", err)
		os.Exit(1)
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "d" {
			continue
		}
		mode, err := strconv.ParseUint(words[2], 8, 32)
		if err == nil {
			err = os.MkdirAll(words[1], 0o755)
		}
		if err == nil {
			err = os.Chmod(words[1], os.FileMode(mode))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "systemd-tmpfiles:", err)
			os.Exit(1)
		}
	}
}
