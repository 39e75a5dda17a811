package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// IDs is the host's allocator of user IDs.
type IDs interface {
	// Take gives a container a slot, or returns the one that it has.
	Take(ctx context.Context, id string) (idmap.Range, error)
	// Free takes it back; it is no error if there is none.
	Free(ctx context.Context, id string) error
	// Team returns the slot that owns a team's files on disk.
	Team(ctx context.Context, name string) (idmap.Range, error)
}

// Config says how a Runner works.
type Config struct {
	Data  string        // absolute folder of state
	IDs   IDs           // of this host
	Stage []string      // command line, name first, with which this program calls [Stage]
	Grace time.Duration // from being asked to end until killed; 0: ten seconds
	// Warn, if set, is told of what killed Runners left and could not be put away.
	Warn func(error)
	// Started, if set, is called when the container runs.
	Started func(Started)
}

// Started describes a running container to the host.
type Started struct {
	ID       string        `json:"id"`
	Team     string        `json:"team"`
	PID      int           `json:"pid"`           // of its first process, on the host
	IDs      idmap.Range   `json:"ids"`           // on the host
	Disk     idmap.Range   `json:"disk,omitzero"` // the team's, which own files in mounts; none without mounts
	Cgroup   string        `json:"cgroup"`
	Runtime  string        `json:"runtime"`
	Prepared time.Duration `json:"preparedNanoseconds"` // from the call of Run until the runtime was started
}

// Runner runs containers. Its methods may be called concurrently.
type Runner struct {
	config  Config
	cgroups *Cgroups
}

// NewRunner returns a Runner, or the reason why this process or this kernel
// cannot seal containers.
func NewRunner(config Config) (*Runner, error) {
	if err := able(); err != nil {
		return nil, err
	}
	cgroups, err := FindCgroups()
	if err != nil {
		return nil, err
	}
	if config.Data, err = filepath.EvalSymlinks(config.Data); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("folder of state: %w", err))
	}
	if err := private(config.Data); err != nil {
		return nil, err
	}
	if config.Warn == nil {
		config.Warn = func(error) {}
	}
	if config.Grace == 0 {
		config.Grace = 10 * time.Second
	}
	return &Runner{config, cgroups}, nil
}

// private refuses a folder of state that others than root could change: what is
// in it decides what containers run from.
func private(dir string) error {
	sticky := uint32(0) // in a folder above it that bit keeps others from replacing ours
	for ; ; dir, sticky = filepath.Dir(dir), unix.S_ISVTX {
		var st unix.Stat_t
		if err := unix.Lstat(dir, &st); err != nil {
			return fault.As(fault.Unavailable, fmt.Errorf("folder of state: look at %q: %w", dir, err))
		}
		if st.Uid != 0 || (st.Mode&0o022 != 0 && st.Mode&sticky == 0) {
			err := fault.Errorf(fault.Denied, "folder of state: others than root can change %q", dir)
			return fault.Hint(err, "plimsoll run --data /var/lib/plimsoll …")
		}
		if dir == "/" {
			return nil
		}
	}
}

// able reports what this process or kernel lacks.
func able() error {
	if os.Geteuid() != 0 {
		return fault.Hint(fault.Errorf(fault.Unavailable, "sealing a container needs root"), "sudo plimsoll run …")
	}
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	if strings.Join(strings.Fields(string(b)), " ") != "0 0 4294967295" {
		return fault.Errorf(fault.Unavailable, "sealing a container needs root of the host: this process is in a user namespace itself")
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("ask for the kernel's version: %w", err))
	}
	return kernelAble(unix.ByteSliceToString(u.Release[:]))
}

// kernelAble refuses kernels that cannot stack mapped mounts in an overlay.
func kernelAble(release string) error {
	if kernelFrom(release, 5, 19) {
		return nil
	}
	return fault.Errorf(fault.Unavailable, "sealing a container needs Linux 5.19 or later (overlayfs over mounts with mapped IDs); this is %q", release)
}

// kernelFrom reports whether a kernel's release, "6.1.0-18-amd64", is of the
// version major.minor or later.
func kernelFrom(release string, major, minor int) bool {
	var a, b int
	n, err := fmt.Sscanf(release, "%d.%d", &a, &b)
	return n == 2 && err == nil && (a > major || (a == major && b >= minor))
}

// Run runs the container to its end and returns its exit code, 128+n if signal n
// ended it. layers are the folders of the image's layers, bottom first. Signals
// from signals are passed on to the container's first process; SIGINT and
// SIGTERM, or the end of ctx, give it the grace period to end.
//
// An error means that the program did not run to its end: [ErrNoCommand] and
// [ErrNotExecutable] say that it could not be started, fault.Denied that the
// profile forbids or cannot be enforced.
func (r *Runner) Run(ctx context.Context, req Request, layers []string, streams Streams, signals <-chan os.Signal) (code int, err error) {
	start := time.Now()
	if err := req.Validate(); err != nil {
		return 0, err
	}
	if err := r.cgroups.CheckSwap(); err != nil {
		return 0, err
	}
	found := askBackend(ctx, req.Profile.Runtime)
	c, err := r.begin(ctx, &req)
	if err != nil {
		return 0, err
	}
	defer func() {
		// Also after ctx has ended; but not for ever.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, r.end(last, c))
	}()
	p, err := r.plan(ctx, req, c, layers)
	if err != nil {
		return 0, err
	}
	backend, err := found()
	if err != nil {
		return 0, err
	}
	p.use(backend)
	connected, err := streams.connect()
	if err != nil {
		return 0, err
	}
	prepared, err := r.start(ctx, p, connected)
	if err == nil {
		code, err = r.attend(ctx, p, backend, prepared.Sub(start), signals)
	}
	// Nothing writes to the caller's streams after this call, whatever came of it.
	err = errors.Join(err, connected.release())
	connected.drain()
	return code, err
}

func (r *Runner) plan(ctx context.Context, req Request, c *container, layers []string) (*plan, error) {
	ids, err := r.config.IDs.Take(ctx, c.id)
	if err != nil {
		return nil, err
	}
	p := &plan{
		Request: req, ID: c.id, IDs: ids, Swap: r.cgroups.SwapAccounted(), Layers: layers, Folder: c.home,
		Protected: []string{r.config.Data}, Parent: os.Getpid(),
	}
	if len(req.Mounts) > 0 {
		if p.Disk, err = r.config.IDs.Team(ctx, req.Team); err != nil {
			return nil, err
		}
	}
	if req.Profile.Storage != 0 {
		p.Storage = filepath.Join(c.home, imageFile)
		if err := newImage(ctx, p.Storage, req.Profile.Storage); err != nil {
			return nil, err
		}
	}
	return p, makeBuildDir()
}

// makeBuildDir makes the empty folder on the host over which each stage mounts.
func makeBuildDir() error {
	for _, dir := range []string{filepath.Dir(buildDir), buildDir} {
		if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // walked through by the container's first process
			return fault.As(fault.Unavailable, err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(dir, &st); err != nil {
			return fault.As(fault.Unavailable, fmt.Errorf("look at %q: %w", dir, err))
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 {
			return fault.Errorf(fault.Unavailable, "%q is not a folder of root", dir)
		}
		if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // as above
			return fault.As(fault.Unavailable, err)
		}
	}
	return nil
}

// start runs the stage, and the runtime that it becomes, until the container is
// made. It returns when the stage became the runtime.
func (r *Runner) start(ctx context.Context, p *plan, streams *pipes) (prepared time.Time, err error) {
	// The runtime ends when the container runs, and the container becomes ours.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return prepared, fmt.Errorf("become subreaper: %w", err)
	}
	// A child dies with the thread that started it, not only with the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = r.config.Stage
	cmd.Stdin, cmd.Stdout, cmd.Stderr = streams.inside[0], streams.inside[1], streams.inside[2]
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	planR, planW, err := os.Pipe()
	if err != nil {
		return prepared, err
	}
	reportR, reportW, err := os.Pipe()
	if err != nil {
		return prepared, errors.Join(err, planR.Close(), planW.Close())
	}
	defer func() { err = errors.Join(err, reportR.Close()) }()
	cmd.ExtraFiles = []*os.File{planR, reportW}
	err = cmd.Start()
	err = errors.Join(err, planR.Close(), reportW.Close(), streams.release())
	if err != nil {
		return prepared, errors.Join(fault.As(fault.Unavailable, fmt.Errorf("start stage: %w", err)), planW.Close())
	}
	sent := errors.Join(json.NewEncoder(planW).Encode(p), planW.Close())
	report, readErr := io.ReadAll(io.LimitReader(reportR, maxLog))
	prepared = time.Now()
	return prepared, outcome(ctx, cmd.Wait(), report, errors.Join(sent, readErr), filepath.Join(p.Folder, runtimeLog))
}

// outcome says why a container was not made: the stage's own report, or else the
// runtime's.
func outcome(ctx context.Context, waited error, report []byte, pipes error, log string) error {
	if waited == nil && len(report) == 0 && pipes == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("start container: %w", context.Cause(ctx)))
	}
	var f failure
	if len(report) > 0 && json.Unmarshal(report, &f) == nil {
		err := fault.Errorf(f.Kind, "%s", f.Text)
		if f.Hint != "" {
			err = fault.Hint(err, "%s", f.Hint)
		}
		return err
	}
	var exit *exec.ExitError
	if errors.As(waited, &exit) {
		return startError(log)
	}
	return fmt.Errorf("start container: %w", errors.Join(waited, pipes))
}

// attend waits for the container's first process, which is now our child.
func (r *Runner) attend(ctx context.Context, p *plan, b Backend, prepared time.Duration, signals <-chan os.Signal) (int, error) {
	text, err := durable.ReadFile(pidFile(p.ID), 64)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("the runtime wrote no process ID but %q", text)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return 0, err
	}
	if r.config.Started != nil {
		r.config.Started(Started{
			ID: p.ID, Team: p.Team, PID: pid, IDs: p.IDs, Disk: p.Disk, Cgroup: cgroupPath(p.Team, p.ID), Runtime: b.Version, Prepared: prepared,
		})
	}
	done := make(chan struct{})
	var conductor sync.WaitGroup
	conductor.Go(func() { r.conduct(ctx, process, signals, done) })
	final, err := process.Wait()
	close(done)
	conductor.Wait()
	if err != nil {
		return 0, fmt.Errorf("wait for container: %w", err)
	}
	return exitCode(final), nil
}

func exitCode(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// conduct passes signals on until done. After the first that asks for the end,
// the container has the grace period.
func (r *Runner) conduct(ctx context.Context, p *os.Process, signals <-chan os.Signal, done <-chan struct{}) {
	var late <-chan time.Time
	ended := ctx.Done()
	for {
		select {
		case <-done:
			return
		case <-late:
			_ = p.Kill() // it may have ended just now
			late = nil
		case <-ended:
			ended = nil
			if late == nil {
				late = time.After(r.config.Grace)
				_ = p.Signal(syscall.SIGTERM) // as above
			}
		case s := <-signals:
			if s == nil {
				signals = nil
				continue
			}
			if late == nil && (s == syscall.SIGTERM || s == syscall.SIGINT) {
				late = time.After(r.config.Grace)
			}
			_ = p.Signal(s) // as above
		}
	}
}
