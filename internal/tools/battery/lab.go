//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/profile"
	"plimsoll/internal/tools/engines"
)

// The set-ups in which everything is tried.
const (
	plain  = "plain"  // dockerd and runc
	remap  = "remap"  // the same with --userns-remap
	sealed = "sealed" // dockerd with plimsoll-runtime as its default runtime
)

const image = "box"

// lab is what all set-ups share.
type lab struct {
	source  string // folder of the module
	program string // the attack program
	root    []byte // of the image
}

// newLab builds the attack program and the image in dir.
func newLab(ctx context.Context, source, dir string, say func(string, ...any)) (*lab, error) {
	l := &lab{source: source, program: filepath.Join(dir, "attack")}
	if err := l.build(ctx, l.program, "./internal/tools/battery/attack"); err != nil {
		return nil, err
	}
	busybox, err := engines.Busybox(ctx, filepath.Join(source, ".cache"), say)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(l.program)
	if err != nil {
		return nil, fmt.Errorf("read attack program: %w", err)
	}
	// A capability in a file: version 2, effective, NET_BIND_SERVICE (capabilities(7)).
	bind := string([]byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	var root bytes.Buffer
	err = engines.Image(ctx, &root, busybox,
		engines.File{Name: "bin/attack", Mode: 0o755, Text: text},
		engines.File{Name: "bin/asroot", Mode: 0o4755, Text: text},
		engines.File{Name: "bin/bind80", Mode: 0o755, Text: text, Xattr: map[string]string{"security.capability": bind}},
		engines.File{Name: "bin/trap", Mode: 0o755, Text: []byte("#!/proc/self/exe\n")})
	l.root = root.Bytes()
	return l, err
}

// build builds a program without libraries.
func (l *lab) build(ctx context.Context, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, pkg)
	cmd.Dir, cmd.Env = l.source, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// setup is one engine, and what it is attacked with.
type setup struct {
	*engines.Engine
	name   string
	lab    *lab
	guard  *guard           // of the sealed one
	chain  *engines.Guarded // the guarded one
	user   string           // who acts on it, see who
	teams  []string
	canary string // a file of root's, 0600, in a folder of root's, 0700
	device string // a block device that holds nothing, "" where there are none
	major  uint32
	minor  uint32
	loop   *os.File
}

// setup starts an engine. Whoever asked closes it.
func (l *lab) setup(ctx context.Context, name string, flags ...string) (s *setup, err error) {
	h, err := engines.NewHost(ctx)
	if err != nil {
		return nil, err
	}
	word := strings.TrimPrefix(filepath.Base(h.Dir), "pl-")
	s = &setup{Engine: &engines.Engine{Host: h}, name: name, lab: l, teams: []string{"red-" + word, "blue-" + word}, canary: h.Dir + "/vault/canary"}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, t := range s.teams {
		h.Remove("/plimsoll/" + t)
	}
	if err := s.canaries(); err != nil {
		return nil, err
	}
	if name == guarded {
		return s, s.install(ctx)
	}
	o := engines.Options{Remap: name == remap, LiveRestore: true, Flags: flags}
	if name == sealed {
		if o.Runtime, err = s.runtime(ctx); err != nil {
			return nil, err
		}
	}
	e, err := engines.Start(ctx, h, o)
	if err != nil {
		return nil, err
	}
	s.Engine = e
	return s, e.Import(ctx, image, l.root)
}

// canaries makes what attacks aim at.
func (s *setup) canaries() error {
	dir := s.Host.Dir
	err := errors.Join(
		os.Mkdir(dir+"/vault", 0o700), os.WriteFile(s.canary, []byte("canary\n"), 0o600),
		os.Mkdir(dir+"/share", 0o755), os.Symlink(dir+"/vault", dir+"/share/link"), os.WriteFile(dir+"/share/rootfile", []byte("root's\n"), 0o600),
		os.Mkdir(dir+"/open", 0o755), os.Chmod(dir+"/open", 0o777), os.Mkdir(dir+"/race", 0o755), os.WriteFile(dir+"/race/file", []byte("file"), 0o644))
	if err != nil {
		return fmt.Errorf("make canaries: %w", err)
	}
	if s.name == sealed { // a share is given to its team once
		if err := os.Chown(dir+"/open", int(disk(0).Base), int(disk(0).Base)); err != nil {
			return fmt.Errorf("give a share to a team: %w", err)
		}
	}
	s.device, s.loop = loopDevice(dir + "/disk")
	if s.loop != nil {
		var st unix.Stat_t
		if err := unix.Fstat(int(s.loop.Fd()), &st); err != nil {
			return fmt.Errorf("look at loop device: %w", err)
		}
		s.major, s.minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	}
	return nil
}

// loopDevice makes a device of a new file. The kernel takes it down when it is
// closed. Nothing is returned where there are no such devices.
func loopDevice(file string) (string, *os.File) {
	back, err := os.Create(file)
	if err != nil {
		return "", nil
	}
	defer back.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil || back.Truncate(1<<20) != nil {
		return "", nil
	}
	defer control.Close()
	for range 10 { // others take devices, too
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", nil
		}
		name := fmt.Sprintf("/dev/loop%d", n)
		dev, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return "", nil
		}
		config := unix.LoopConfig{Fd: uint32(back.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		if unix.IoctlLoopConfigure(int(dev.Fd()), &config) == nil {
			return name, dev
		}
		dev.Close()
	}
	return "", nil
}

// runtime builds the runtime into the host's folder, with its settings beside
// it, and starts the guard that it asks.
func (s *setup) runtime(ctx context.Context) (string, error) {
	dir := s.Host.Dir
	path := dir + "/plimsoll-runtime"
	if err := s.lab.build(ctx, path, "./cmd/plimsoll-runtime"); err != nil {
		return "", err
	}
	s.guard = &guard{socket: dir + "/guard/s", data: dir + "/docker", teams: s.teams, profiles: s.profiles()}
	if err := s.guard.serve(); err != nil {
		return "", err
	}
	if err := os.Mkdir(s.Host.Path("/run/plimsoll"), 0o711); err != nil {
		return "", fmt.Errorf("make the guard's folder: %w", err)
	}
	behind := map[string]string{}
	for _, name := range []string{"runc", "crun"} {
		if found, err := exec.LookPath(name); err == nil {
			behind[name] = found
		}
	}
	settings, err := json.Marshal(map[string]any{"guard": s.guard.socket, "state": "/run/plimsoll/containers", "deadline": "10s", "runtimes": behind})
	if err != nil {
		return "", fmt.Errorf("write settings of runtime: %w", err)
	}
	return path, os.WriteFile(path+".json", settings, 0o644)
}

// profiles are what the guard grants, by the label that names them.
func (s *setup) profiles() map[string]profile.Profile {
	share := profile.Profile{
		CPUs: 1, Memory: 256 << 20, PIDs: 256, Runtime: "runc", Network: profile.Network{Mode: "bridge"}, SetuidFiles: true,
		Capabilities: []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"},
		Total:        profile.Share{CPUs: 2, Memory: 1 << 30, PIDs: 400},
	}
	all := map[string]profile.Profile{"": share}
	change := func(name string, with func(*profile.Profile)) {
		p := share
		with(&p)
		all[name] = p
	}
	change("binds", func(p *profile.Profile) {
		p.Mounts = []profile.Mount{{Path: s.Host.Dir + "/share/**", Writable: true}, {Path: s.Host.Dir + "/open/**", Writable: true}}
	})
	change("strict", func(p *profile.Profile) {
		p.SetuidFiles, p.Capabilities, p.PIDs = false, []string{"NET_BIND_SERVICE"}, 64
	})
	change("storage", func(p *profile.Profile) { p.Storage = 64 << 20 })
	change("readonly", func(p *profile.Profile) { p.ReadOnly = true })
	change("crun", func(p *profile.Profile) { p.Runtime = "crun" })
	return all
}

// close ends the engine and removes everything.
func (s *setup) close() error {
	errs := []error{s.Host.Close(), s.guard.close()}
	if s.loop != nil {
		errs = append(errs, s.loop.Close())
	}
	return errors.Join(errs...)
}

// label returns the flags by which a container is of a team and gets a profile.
func (s *setup) label(team, profile string) []string {
	return []string{"--label", teamLabel + "=" + team, "--label", profileLabel + "=" + profile}
}

// eventually tries something until it holds, for at most ten seconds.
func eventually(ctx context.Context, holds func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}
