package engine

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
)

// How files are copied in and out of a sealed container. The engine's own mount
// of its root is another than the container's, and the kernel says that writing
// through both is undefined. So a helper does it inside: this program once more,
// in the container's user namespace from before its first instruction (so that it
// has no privilege outside, and sees the container's IDs as the container does)
// and then, on one thread, in its mount namespace. Nothing of the container is
// executed, loaded or configured by: paths are resolved by the kernel below the
// container's root. What the helper takes counts as the container's: files in a
// tmpfs are memory, and would be the guard's.

// helperName is the helper's argument 0.
const helperName = "plimsoll-inside"

// inside is a running sealed container, held open.
type inside struct {
	user, mount *os.File
	charged     seal.Charged
}

func (i *inside) close() {
	_ = i.user.Close()
	_ = i.mount.Close()
}

// enter opens the namespaces of a container that runs in a user namespace of its
// own, and returns nil for every other, which the engine can serve.
func (q *request) enter(id string) (*inside, error) {
	pid, paused, err := q.processOf(id)
	if err != nil || pid == 0 {
		return nil, err
	}
	cgroups, err := seal.FindCgroups()
	if err != nil {
		return nil, err
	}
	if paused && cgroups.Unified() {
		err := fault.Errorf(fault.Conflict, "container %s is paused, and what copies its files would be paused with it", id)
		return nil, fault.Hint(err, "docker unpause %s", id)
	}
	in := &inside{}
	if in.user, err = os.Open(fmt.Sprintf("/proc/%d/ns/user", pid)); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	if in.mount, err = os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid)); err != nil {
		_ = in.user.Close()
		return nil, fault.As(fault.Unavailable, err)
	}
	var again int
	if in.charged, err = cgroups.ChargedOf(pid); err == nil {
		// The process that was opened is the container's if it still is the one.
		again, _, err = q.processOf(id)
	}
	if err == nil && again != pid {
		err = fault.Errorf(fault.Unavailable, "container %s was restarted", id)
	}
	if err == nil {
		var own bool
		if own, err = ownNamespace(in.user); err == nil && own {
			in.close()
			return nil, nil
		}
	}
	if err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// processOf returns the process of a container as the host sees it, 0 if there is
// none.
func (q *request) processOf(id string) (pid int, paused bool, err error) {
	var found struct {
		State struct {
			Running, Paused bool
			Pid             int
		}
	}
	err = q.ask(outgoing{method: http.MethodGet, path: "containers/" + id + "/json"}, &found)
	if err != nil || !found.State.Running {
		return 0, false, err
	}
	return found.State.Pid, found.State.Paused, nil
}

// ownNamespace reports whether the user namespace is the one we are in.
func ownNamespace(f *os.File) (bool, error) {
	theirs, err := f.Stat()
	if err != nil {
		return false, fault.As(fault.Unavailable, err)
	}
	ours, err := os.Stat("/proc/self/ns/user")
	if err != nil {
		return false, fault.As(fault.Unavailable, err)
	}
	return os.SameFile(theirs, ours), nil
}

// errand is what the helper is told to do.
type errand struct {
	Method   string `json:"method"` // HEAD, GET, PUT
	Path     string `json:"path"`
	KeepType bool   `json:"keepType,omitempty"` // a folder is not replaced by a file, nor a file by a folder
	KeepIDs  bool   `json:"keepIDs,omitempty"`  // what is copied in keeps its owner
	Setuid   bool   `json:"setuid,omitempty"`   // files may change who runs them
}

// report is the first line that the helper says: a status of HTTP, and what the
// path is.
type report struct {
	Status  int       `json:"status"`
	Message string    `json:"message,omitempty"`
	Stat    *pathStat `json:"stat,omitempty"`
}

func (q *request) copyInside(in *inside) error {
	path := q.query.Get("path")
	if path == "" || len(path) > unix.PathMax {
		return fault.Errorf(fault.Invalid, "the path is empty or too long")
	}
	e := errand{Method: q.r.Method, Path: path, KeepType: truth(q.query.Values, "noOverwriteDirNonDir"), KeepIDs: truth(q.query.Values, "copyUIDGID"), Setuid: q.profile.SetuidFiles}
	h, err := in.start(e)
	if err != nil {
		return err
	}
	defer h.end()
	if e.Method == http.MethodPut {
		// The helper is ended by the end of what it reads, or by end.
		_, err := io.Copy(h.in, q.r.Body)
		_ = h.in.Close()
		if err != nil && !errors.Is(err, syscall.EPIPE) {
			return fault.Errorf(fault.Unavailable, "copy: %w", err)
		}
	}
	said, err := h.report()
	if err != nil {
		return err
	}
	if said.Status != http.StatusOK {
		return &engineError{status: said.Status, message: said.Message}
	}
	return q.copied(h, said)
}

func (q *request) copied(h *helper, said report) error {
	if said.Stat != nil {
		data, err := json.Marshal(said.Stat)
		if err != nil {
			return fault.As(fault.Internal, err)
		}
		q.w.Header().Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString(data))
	}
	if q.r.Method != http.MethodGet {
		q.w.WriteHeader(http.StatusOK)
		return nil
	}
	q.w.Header().Set("Content-Type", "application/x-tar")
	q.answered = true
	q.w.WriteHeader(http.StatusOK)
	if err := q.stream(h.out); err != nil {
		return err
	}
	return h.wait()
}

// helper is a helper at work.
type helper struct {
	in, out *os.File
	process *os.Process
	ended   bool
	err     error
}

const maxReport = 64 << 10 // bytes

// report reads the first line.
func (h *helper) report() (report, error) {
	var said report
	var line []byte
	for one := make([]byte, 1); len(line) < maxReport; {
		if _, err := io.ReadFull(h.out, one); err != nil {
			return said, cmp.Or(h.wait(), fault.Errorf(fault.Unavailable, "the copying helper ended: %w", err))
		}
		if one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	if err := json.Unmarshal(line, &said); err != nil || said.Status < 200 || said.Status > 599 {
		return said, fault.Errorf(fault.Unavailable, "the copying helper said nothing that can be read")
	}
	return said, nil
}

// wait returns an error unless the helper did all that it was told.
func (h *helper) wait() error {
	if h.ended {
		return h.err
	}
	h.ended = true
	state, err := h.process.Wait()
	switch {
	case err != nil:
		h.err = fault.As(fault.Unavailable, err)
	case killed(state):
		h.err = fault.Errorf(fault.Unavailable, "the copying helper was killed")
		h.err = fault.Hint(h.err, "the container's memory may be full: files in its tmpfs are part of it")
	case !state.Success():
		h.err = fault.Errorf(fault.Unavailable, "the copying helper: %s", state)
	}
	return h.err
}

func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == unix.SIGKILL
}

// end stops the helper, whatever it does.
func (h *helper) end() {
	_ = h.in.Close()
	_ = h.out.Close()
	if !h.ended {
		_ = h.process.Kill()
		_ = h.wait()
	}
}

// start makes the helper.
func (in *inside) start(e errand) (*helper, error) {
	what, err := json.Marshal(e)
	if err != nil {
		return nil, fault.As(fault.Internal, err)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	defer self.Close()
	childIn, parentIn, err := os.Pipe()
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	defer childIn.Close()
	parentOut, childOut, err := os.Pipe()
	if err != nil {
		_ = parentIn.Close()
		return nil, fault.As(fault.Unavailable, err)
	}
	defer childOut.Close()
	pid, err := spawn(self, in.user, in.mount, childIn, childOut, []string{helperName, string(what)})
	if err == nil {
		h := &helper{in: parentIn, out: parentOut}
		if h.process, err = os.FindProcess(pid); err == nil {
			// It has nothing to write yet: that comes through the pipe.
			if err = in.charged.Join(pid); err == nil {
				return h, nil
			}
			h.end()
		}
	}
	_, _ = parentIn.Close(), parentOut.Close()
	return nil, fault.Errorf(fault.Unavailable, "start the copying helper: %w", err)
}

// The helper's descriptors.
const (
	helperIn    = 0
	helperOut   = 1
	helperMount = 3
)

// Exit statuses of the helper before it is a program.
const (
	noNamespace = 120 + iota
	noIdentity
	noFiles
	noProgram
)

// spawn starts the program self in the user namespace. A process that has threads
// cannot enter one, and a Go program has threads from its beginning: so it is
// entered between fork and exec.
func spawn(self, user, mount, in, out *os.File, args []string) (int, error) {
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return 0, err
	}
	envv, err := syscall.SlicePtrFromStrings([]string{"GOMAXPROCS=1"})
	if err != nil {
		return 0, err
	}
	empty, err := syscall.BytePtrFromString("")
	if err != nil {
		return 0, err
	}
	c := child{
		self: self.Fd(), user: user.Fd(), mount: mount.Fd(), in: in.Fd(), out: out.Fd(),
		empty: uintptr(unsafe.Pointer(empty)), argv: uintptr(unsafe.Pointer(&argv[0])), envv: uintptr(unsafe.Pointer(&envv[0])), // #nosec G103 -- addresses for execveat(2), kept alive below
	}
	if min(c.self, c.user, c.mount, c.in, c.out) <= helperMount {
		return 0, errors.New("the descriptors of this program begin too low")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.ForkLock.Lock()
	pid, errno := fork(&c)
	syscall.ForkLock.Unlock()
	runtime.KeepAlive(argv)
	runtime.KeepAlive(envv)
	runtime.KeepAlive(empty)
	if errno != 0 {
		return 0, errno
	}
	return int(pid), nil
}

// child is what the new process needs, gathered before it is made: it must not
// allocate.
type child struct {
	self, user, mount, in, out uintptr
	empty, argv, envv          uintptr
}

// fork makes the process. Between fork and exec it has one thread, a copy of all
// memory, and no Go runtime: system calls only.
//
//go:norace
//go:nosplit
func fork(c *child) (uintptr, syscall.Errno) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	var code uintptr = noNamespace
	if _, _, errno = syscall.RawSyscall(unix.SYS_SETNS, c.user, unix.CLONE_NEWUSER, 0); errno != 0 {
		goto failed
	}
	code = noIdentity
	if _, _, errno = syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		goto failed
	}
	if _, _, errno = syscall.RawSyscall(unix.SYS_SETRESGID, 0, 0, 0); errno != 0 {
		goto failed
	}
	if _, _, errno = syscall.RawSyscall(unix.SYS_SETRESUID, 0, 0, 0); errno != 0 {
		goto failed
	}
	code = noFiles
	if _, _, errno = syscall.RawSyscall(unix.SYS_DUP3, c.in, helperIn, 0); errno != 0 {
		goto failed
	}
	if _, _, errno = syscall.RawSyscall(unix.SYS_DUP3, c.out, helperOut, 0); errno != 0 {
		goto failed
	}
	if _, _, errno = syscall.RawSyscall(unix.SYS_DUP3, c.mount, helperMount, 0); errno != 0 {
		goto failed
	}
	code = noProgram
	_, _, _ = syscall.RawSyscall6(unix.SYS_EXECVEAT, c.self, c.empty, c.argv, c.envv, unix.AT_EMPTY_PATH, 0)
failed:
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, code, 0, 0)
	}
}

// Inside is called first by every program that serves a [Proxy]: if the program
// was started as its helper, it does its errand and does not return.
func Inside() {
	if len(os.Args) != 2 || os.Args[0] != helperName {
		return
	}
	var e errand
	if err := json.Unmarshal([]byte(os.Args[1]), &e); err != nil {
		os.Exit(noProgram)
	}
	if err := e.do(); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// do enters the container's mount namespace with this thread alone, and does what
// was asked.
func (e errand) do() error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	// While it is the host's: the container can lay what it likes on its own.
	files, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Setns(helperMount, unix.CLONE_NEWNS); err != nil {
		return err
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.Umask(0)
	out := os.NewFile(helperOut, "out")
	w := worker{root: root, files: files, errand: e, out: out}
	err = w.work()
	var failed *failure
	if errors.As(err, &failed) && !w.reported {
		return w.say(report{Status: failed.status, Message: failed.message})
	}
	return err
}

// say writes the first line.
func (w *worker) say(r report) error {
	w.reported = true
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(bytes.ReplaceAll(data, []byte("\n"), nil), '\n'))
	return err
}
