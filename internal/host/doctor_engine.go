//go:build linux

package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
)

// patience is how long an answer on a local socket is waited for.
const patience = 40 * time.Second // an engine asks a silent plugin for half a minute

// maxAnswer bounds an engine's answer, in bytes.
const maxAnswer = 4 << 20

// ask sends a request to a unix socket of the host and returns the answer.
func (h Host) ask(ctx context.Context, socket, method, uri string) (int, []byte, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", h.at(socket))
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://docker"+uri, nil)
	if err != nil {
		return 0, nil, err
	}
	a, err := transport.RoundTrip(r)
	if err != nil {
		return 0, nil, fault.Errorf(fault.Unavailable, "%s: %w", socket, err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer))
	if err != nil {
		return 0, nil, fault.Errorf(fault.Unavailable, "%s: %w", socket, err)
	}
	return a.StatusCode, b, nil
}

// guard looks whether the guard is there and answers.
func (d *doctor) guard(ctx context.Context) {
	var wrong []string
	for socket, mode := range map[string]fs.FileMode{RuntimeSocket: 0o600, PluginSocket: 0o600} {
		info, err := os.Lstat(d.host.at(socket))
		if err != nil {
			wrong = append(wrong, socket+" is not there")
		} else if info.Mode() != fs.ModeSocket|mode || uid(info) != 0 {
			wrong = append(wrong, fmt.Sprintf("%s is %v of uid %d", socket, info.Mode(), uid(info)))
		} else if c, err := new(net.Dialer).DialContext(ctx, "unix", d.host.at(socket)); err != nil {
			wrong = append(wrong, socket+" is not listened on")
		} else {
			_ = c.Close()
		}
	}
	slices.Sort(wrong)
	if code, b, err := d.host.ask(ctx, PublicSocket, http.MethodGet, "/_ping"); err != nil {
		wrong = append(wrong, err.Error())
	} else if code != http.StatusOK || string(b) != "OK" {
		wrong = append(wrong, fmt.Sprintf("%s answers a ping with %d", PublicSocket, code))
	}
	if len(wrong) > 0 {
		d.add("guard", Bad, "systemctl status plimsoll-guard docker", "%s", strings.Join(wrong, "; "))
		return
	}
	d.add("guard", Good, "", "answers the engine, the runtime and people")
}

// info is what an engine says about itself.
type info struct {
	ServerVersion  string
	DefaultRuntime string
	Runtimes       map[string]struct {
		Path string `json:"path"`
	}
	Plugins         struct{ Authorization []string }
	SecurityOptions []string
}

// engine asks the engine that runs, on its own socket.
func (d *doctor) engine(ctx context.Context, runtime string) {
	const hint = "systemctl restart docker, if its configuration is good"
	code, b, err := d.host.ask(ctx, EngineSocket, http.MethodGet, "/info")
	var i info
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", EngineSocket, code, message(b))
	}
	if err == nil {
		err = json.Unmarshal(b, &i)
	}
	if err != nil {
		d.is("engine", fault.Hint(err, "systemctl status docker"), "")
		return
	}
	var wrong []string
	if i.DefaultRuntime != name {
		wrong = append(wrong, fmt.Sprintf("its default runtime is %q", i.DefaultRuntime))
	}
	if p := i.Runtimes[name].Path; p == "" || p != runtime {
		wrong = append(wrong, fmt.Sprintf("its runtime plimsoll is %q", p))
	}
	if !slices.Contains(i.Plugins.Authorization, name) {
		wrong = append(wrong, "it does not ask the plugin")
	}
	if slices.ContainsFunc(i.SecurityOptions, func(s string) bool { return strings.HasPrefix(s, "name=userns") }) {
		wrong = append(wrong, "it remaps users by itself")
	}
	if len(wrong) > 0 {
		d.add("engine", Bad, hint, "version %s runs, but %s", i.ServerVersion, strings.Join(wrong, "; "))
	} else {
		d.add("engine", Good, "", "version %s has the runtime and the plugin", i.ServerVersion)
	}
	d.denied(ctx)
}

// denied sends the engine a request that nobody judged. If it were served, it would
// find no container.
func (d *doctor) denied(ctx context.Context) {
	code, b, err := d.host.ask(ctx, EngineSocket, http.MethodPost, "/containers/plimsoll-doctor-"+rand.Text()+"/start")
	switch text := message(b); {
	case err != nil:
		d.is("round the guard", err, "")
	case code == http.StatusForbidden && strings.Contains(text, "plimsoll"):
		d.add("round the guard", Good, "", "an unjudged request is denied")
	case code == http.StatusForbidden || code >= http.StatusInternalServerError:
		d.add("round the guard", Bad, "systemctl status plimsoll-guard", "an unjudged request is not served, but not by us: %d %s", code, text)
	default:
		d.add("round the guard", Bad, "plimsoll guard install", "an unjudged request is served: %d %s", code, text)
	}
}

// message returns an engine's error in one line.
func message(b []byte) string {
	var v struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(b, &v) != nil || v.Message == "" {
		v.Message = string(b[:min(len(b), 200)])
	}
	return strings.Join(strings.Fields(v.Message), " ")
}

// sockets looks for ways to the engine that are not ours: what the processes named
// dockerd listen on.
func (d *doctor) sockets() {
	var wrong []string
	found := 0
	procs, err := filepath.Glob(d.host.at("/proc/[0-9]*/comm"))
	if err != nil {
		d.is("ways in", err, "")
		return
	}
	for _, comm := range procs {
		b, err := os.ReadFile(comm)
		if err != nil || strings.TrimSpace(string(b)) != "dockerd" {
			continue // it has ended, or is another
		}
		found++
		dir := filepath.Dir(comm)
		listening, err := listeners(dir)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		for _, l := range listening {
			if l != EngineSocket && !strings.HasPrefix(l, "/run/docker/") && !strings.HasPrefix(l, "/var/run/docker/") {
				wrong = append(wrong, "pid "+filepath.Base(dir)+" listens on "+l)
			}
		}
	}
	for path, want := range map[string]fs.FileMode{EngineSocket: fs.ModeSocket | 0o600, filepath.Dir(EngineSocket): fs.ModeDir | 0o700} {
		if info, err := os.Lstat(d.host.at(path)); err != nil {
			wrong = append(wrong, path+" is not there")
		} else if info.Mode() != want || uid(info) != 0 {
			wrong = append(wrong, fmt.Sprintf("%s is %v of uid %d, not %v of root", path, info.Mode(), uid(info), want))
		}
	}
	slices.Sort(wrong)
	switch {
	case len(wrong) > 0:
		d.add("ways in", Bad, "no -H and no hosts but "+EngineSocket+", then systemctl restart docker", "%s", strings.Join(wrong, "; "))
	case found == 0:
		d.add("ways in", Bad, "systemctl start docker", "no dockerd runs")
	default:
		d.add("ways in", Good, "", "the engine listens only on %s, which is root's", EngineSocket)
	}
}

// listeners returns what a process, whose folder in /proc is dir, listens on:
// paths of unix sockets, and addresses as the kernel writes them.
func listeners(dir string) ([]string, error) {
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	mine := map[string]bool{}
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var all []string
	for _, table := range []struct {
		file                  string
		state, inode, address int
		listens               string
	}{
		{"unix", 3, 6, 7, "00010000"}, // flags: it accepts connections
		{"tcp", 3, 9, 1, "0A"},
		{"tcp6", 3, 9, 1, "0A"},
	} {
		b, err := os.ReadFile(filepath.Join(dir, "net", table.file))
		if err != nil {
			if absent(err) {
				continue // a kernel without IPv6
			}
			return nil, fault.As(fault.Unavailable, err)
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			f := strings.Fields(line)
			if len(f) <= max(table.address, table.inode) || f[table.state] != table.listens || !mine[f[table.inode]] {
				continue
			}
			address := f[table.address]
			if table.file != "unix" {
				address = table.file + " " + address
			}
			all = append(all, address)
		}
	}
	return all, nil
}
