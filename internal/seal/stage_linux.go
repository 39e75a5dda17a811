package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// plan is what a Runner hands to its stage.
type plan struct {
	Request
	ID        string
	IDs, Disk idmap.Range // the container's on the host; its team's on disk
	Mappings  bool
	Swap      bool
	Layers    []string // folders, bottom first
	Folder    string   // the container's
	Storage   string   // image file of a size-limited file system, "" for Folder's own
	Protected []string
	Runtime   string   // absolute path
	Command   []string // its arguments, name included
	Parent    int      // process that dies with the stage
}

// use has the plan carried out by b.
func (p *plan) use(b Backend) {
	p.Mappings, p.Runtime, p.Command = b.Mappings, b.Path, b.command(p.Folder, p.ID)
}

// failure is how a stage that cannot go on says why.
type failure struct {
	Kind fault.Kind
	Text string
	Hint string
}

// Descriptors that a Runner gives to its stage beside the standard ones.
const (
	planFD   = 3
	reportFD = 4
)

// Stage does the part of [Runner.Run] that needs a process of its own, and
// becomes the OCI runtime. It returns only if it failed, and then has told its
// Runner why. It must be called in a program that a Runner started.
func Stage(ctx context.Context) error {
	runtime.LockOSThread() // credentials are a thread's own; never unlocked: the thread ends with the process
	report := os.NewFile(reportFD, "report")
	unix.CloseOnExec(reportFD)
	err := stage(ctx)
	b, jsonErr := json.Marshal(failure{fault.KindOf(err), err.Error(), fault.HintOf(err)})
	if jsonErr == nil {
		_, jsonErr = report.Write(b)
	}
	return errors.Join(err, jsonErr)
}

// stage returns only with an error: otherwise the process is the runtime's.
func stage(ctx context.Context) error {
	p, err := readPlan()
	if err != nil {
		return err
	}
	unix.Umask(0o022) // the container reads files that are made here
	if err := privateMounts(unix.MS_NODEV); err != nil {
		return err
	}
	container, err := newUserNamespace(ctx, idmap.Range{Base: 0, Size: p.IDs.Size}, p.IDs)
	if err != nil {
		return err
	}
	if err := bindSpace(container, userFile); err != nil {
		return err
	}
	if err := p.mountRoot(container); err != nil {
		return err
	}
	if err := p.mountRequested(ctx); err != nil {
		return err
	}
	if err := p.writeBundle(); err != nil {
		return err
	}
	if err := LimitProcess(0, nil); err != nil {
		return err
	}
	if err := dieWith(p.Parent); err != nil {
		return err
	}
	if filepath.Base(p.Runtime) == "crun" { // it refuses hosts that have both versions of cgroups mounted
		if err := HideUnified(); err != nil {
			return err
		}
	}
	return fmt.Errorf("start runtime %q: %w", p.Runtime, syscall.Exec(p.Runtime, p.Command, os.Environ()))
}

const maxPlan = 8 << 20 // bytes

func readPlan() (*plan, error) {
	f := os.NewFile(planFD, "plan")
	if f == nil {
		return nil, fault.Errorf(fault.Usage, "this is not for people: plimsoll run starts it")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPlan))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fault.Errorf(fault.Usage, "read plan: %w", err)
	}
	p := new(plan)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fault.Errorf(fault.Usage, "read plan: %w", err)
	}
	return p, p.Validate()
}

// privateMounts makes the place where the container is put together, in this
// process's own mount namespace, with flags beside its own. The host's later unmounts still arrive here.
func privateMounts(flags uintptr) error {
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("plimsoll", buildDir, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC|flags, "mode=0711,size=1m"); err != nil {
		return fmt.Errorf("mount tmpfs on %q: %w", buildDir, err)
	}
	return nil
}

// writeBundle completes the spec, now that the image's root can be looked into.
func (p *plan) writeBundle() error {
	id, err := p.identity()
	if err != nil {
		return err
	}
	spec, err := Spec(&p.Request, Situation{ID: p.ID, IDs: p.IDs, Identity: id, Mappings: p.Mappings, Swap: p.Swap})
	if err != nil {
		return err
	}
	// The pipes belong to the process, so that it can open /dev/stdout again.
	for fd := range 3 {
		if err := unix.Fchown(fd, int(p.IDs.Base+id.UID), int(p.IDs.Base+id.GID)); err != nil {
			return fmt.Errorf("give standard streams to the container: %w", err)
		}
	}
	name := hostname(p.ID)
	hosts := "127.0.0.1\tlocalhost " + name + "\n::1\tlocalhost ip6-localhost\n"
	for file, text := range map[string]string{hostsFile: hosts, nameFile: name + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // the container reads it
			return err
		}
		if err := os.Chown(file, int(p.IDs.Base), int(p.IDs.Base)); err != nil {
			return err
		}
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.Folder, bundle, "config.json"), b, 0o600)
}

// killable takes back what a service manager may have given us: a container that
// is spared when memory runs out hangs at its limit, and others die in its place.
func killable(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read who is spared: %w", err)
	}
	if !strings.HasPrefix(string(b), "-") {
		return nil
	}
	return write(file, "0")
}

// dieWith asks the kernel to end this process with its parent. A change of
// credentials has cleared what the parent asked for (prctl(2),
// PR_SET_PDEATHSIG).
func dieWith(parent int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("set parent-death signal: %w", err)
	}
	if os.Getppid() != parent {
		return fault.Errorf(fault.Unavailable, "the parent ended")
	}
	return nil
}
