package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
)

// BundlePaths are where the runtime finds the parts of a container that [Build]
// put together.
var BundlePaths = rewrite.Paths{Root: rootDir, Users: userFile, Mounts: buildDir + "/m", Nodes: buildDir + "/d"}

// Able refuses a process or a kernel that cannot seal containers.
func Able() error { return able() }

// PrivateMounts moves this thread into a mount namespace of its own, which the
// process it becomes, or starts, is in as well. The thread must be locked.
func PrivateMounts() error {
	if err := makeBuildDir(); err != nil {
		return err
	}
	// A runtime that joins a container changes to the root's path first, on the
	// host, where it must exist.
	if err := os.Mkdir(rootDir, 0o711); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // empty
		return fault.As(fault.Unavailable, err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("make mount namespace: %w", err))
	}
	return privateMounts(0) // devices are made there
}

// Building is a container that an engine asks for, while it is put together.
type Building struct {
	Grant  *protocol.Grant
	Root   *Root
	Spaces *Spaces
	Plan   *rewrite.Plan
	Hook   *specs.Hook // ours, to be called when the container's namespaces exist; nil: none
}

// Build puts the container together in the private mounts, as its plan says, and
// returns the spec to give to the runtime and the number of the container's user
// namespace. What it mounts is gone when the last process in the mount namespace
// is.
func (b *Building) Build(ctx context.Context) (config []byte, users uint64, err error) {
	fd, err := b.userNamespace(ctx)
	if err != nil {
		return nil, 0, err
	}
	if fd != b.Spaces.users {
		defer func() { err = errors.Join(err, unix.Close(fd)) }()
	}
	if users, err = numberOf(fd); err != nil {
		return nil, 0, err
	}
	if err := bindSpace(fd, userFile); err != nil {
		return nil, 0, err
	}
	if err := b.Root.mount(fd, b.Grant.IDs.Base); err != nil {
		return nil, 0, err
	}
	options, err := b.mounts(ctx, fd)
	if err != nil {
		return nil, 0, err
	}
	if err := b.devices(); err != nil {
		return nil, 0, err
	}
	at, err := b.Spaces.bind(b.Plan.Join)
	if err != nil {
		return nil, 0, err
	}
	config, err = complete(b.Plan.Config, at, options, b.Hook)
	return config, users, err
}

// userNamespace returns that of the containers whose namespaces are joined, or a
// new one.
func (b *Building) userNamespace(ctx context.Context) (int, error) {
	if b.Spaces.users >= 0 {
		if b.Grant.IDs.Base != b.Spaces.owner {
			return -1, fault.Errorf(fault.Denied, "the IDs granted are not those of the container that is joined")
		}
		return b.Spaces.users, nil
	}
	return newUserNamespace(ctx, idmap.Range{Base: 0, Size: b.Grant.IDs.Size}, b.Grant.IDs)
}

// mounts attaches what is mounted into the container, and returns the options
// that the spec must have for it, by source.
func (b *Building) mounts(ctx context.Context, users int) (options map[string][]string, err error) {
	w := &binder{grant: b.Grant, users: users, squash: -1, options: map[string][]string{}}
	for _, s := range b.Spaces.With {
		w.shared = append(w.shared, s.Grant.Own...)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for _, m := range b.Plan.Mounts {
		if err := w.bind(ctx, m); err != nil {
			return nil, err
		}
	}
	return w.options, nil
}

// devices makes nodes that belong to the container's root: the host's own would
// be nobody's, for the file system they lie on cannot map IDs.
func (b *Building) devices() error {
	for _, d := range b.Plan.Devices {
		var st unix.Stat_t
		if err := unix.Stat(d.Host, &st); err != nil {
			return fault.As(fault.Unavailable, fmt.Errorf("device %q: %w", d.Host, err))
		}
		kind := st.Mode & unix.S_IFMT
		if kind != unix.S_IFCHR && kind != unix.S_IFBLK {
			return fault.Errorf(fault.Denied, "device %q is none", d.Host)
		}
		if err := unix.Mknod(d.Target, kind|0o660, int(st.Rdev)); err != nil { //nolint:gosec // as the kernel numbers devices
			return fmt.Errorf("device %q: make node: %w", d.Host, err)
		}
		base := int(b.Grant.IDs.Base)
		if err := errors.Join(unix.Chmod(d.Target, 0o660), unix.Chown(d.Target, base, base)); err != nil {
			return fmt.Errorf("device %q: %w", d.Host, err)
		}
	}
	return nil
}

// Node returns what device the node at a path of the host is.
func Node(path string) (rewrite.Node, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return rewrite.Node{}, err
	}
	n := rewrite.Node{Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev))}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		n.Type = "c"
	case unix.S_IFBLK:
		n.Type = "b"
	default:
		return n, fault.Errorf(fault.Denied, "it is no device")
	}
	return n, nil
}

// complete returns the rewritten spec with what was found out since: paths of
// joined namespaces that nobody can exchange, options of mounts by source, and a
// hook of our own after those of the engine.
func complete(config []byte, at map[specs.LinuxNamespace]string, options map[string][]string, hook *specs.Hook) ([]byte, error) {
	if len(at) == 0 && len(options) == 0 && hook == nil {
		return config, nil
	}
	var spec, linux map[string]json.RawMessage
	var spaces []specs.LinuxNamespace
	var mounts []specs.Mount
	if err := json.Unmarshal(config, &spec); err != nil {
		return nil, fmt.Errorf("rewritten spec: %w", err)
	}
	if err := json.Unmarshal(spec["linux"], &linux); err != nil {
		return nil, fmt.Errorf("rewritten spec: %w", err)
	}
	if err := errors.Join(json.Unmarshal(linux["namespaces"], &spaces), json.Unmarshal(spec["mounts"], &mounts)); err != nil {
		return nil, fmt.Errorf("rewritten spec: %w", err)
	}
	for i, n := range spaces {
		if path, ok := at[n]; ok {
			spaces[i].Path = path
			delete(at, n)
		}
	}
	if len(at) > 0 {
		return nil, errors.New("the rewritten spec joins other namespaces than its plan")
	}
	for i, m := range mounts {
		mounts[i].Options = with(m.Options, options[m.Source])
	}
	var hooks specs.Hooks
	if raw := spec["hooks"]; raw != nil {
		if err := json.Unmarshal(raw, &hooks); err != nil {
			return nil, fmt.Errorf("rewritten spec: %w", err)
		}
	}
	if hook != nil {
		hooks.CreateRuntime = append(hooks.CreateRuntime, *hook)
	}
	var err error
	for _, part := range []struct {
		in   map[string]json.RawMessage
		name string
		what any
	}{{linux, "namespaces", spaces}, {spec, "linux", linux}, {spec, "mounts", mounts}, {spec, "hooks", hooks}} {
		if part.in[part.name], err = json.Marshal(part.what); err != nil {
			return nil, err
		}
	}
	return json.Marshal(spec)
}

// with returns options with those of more that it lacks; the last one counts.
func with(options, more []string) []string {
	for _, o := range more {
		if !slices.Contains(options, o) {
			options = append(options, o)
		}
	}
	return options
}

// CheckHook refuses a program that a hook names, "/proc/PID/exe", unless the
// process is the host's root.
func CheckHook(program string) error {
	dir := strings.TrimSuffix(program, "/exe")
	var theirs, ours unix.Stat_t
	if err := errors.Join(unix.Stat(dir+"/ns/user", &theirs), unix.Stat("/proc/self/ns/user", &ours)); err != nil {
		return fault.As(fault.Denied, fmt.Errorf("hook %q: %w", program, err))
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fault.As(fault.Denied, fmt.Errorf("hook %q: %w", program, err))
	}
	if theirs.Ino != ours.Ino || st.Uid != 0 {
		return fault.Errorf(fault.Denied, "hook %q is not a program that the host's root runs", program)
	}
	return nil
}

// resourceLimits are the kernel's numbers of the limits of a spec (getrlimit(2)).
var resourceLimits = map[string]int{
	"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_DATA": unix.RLIMIT_DATA,
	"RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
	"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE,
	"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_RSS": unix.RLIMIT_RSS, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
	"RLIMIT_RTTIME": unix.RLIMIT_RTTIME, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING, "RLIMIT_STACK": unix.RLIMIT_STACK,
}

// LimitProcess sets the limits of a container's process on the process pid, 0 for
// this one, which becomes the runtime and hands them on: a runtime may not set
// them in a user namespace that it does not own. None is raised above what the
// process may have. What is not asked for is as for [Runner.Run]: 1,024 open
// files. There are no core dumps, which the host would handle, and nothing is
// spared when memory runs out.
func LimitProcess(pid int, limits []specs.POSIXRlimit) error {
	const softFiles, hardFiles = 1024, 1 << 20
	asked := map[int]syscall.Rlimit{unix.RLIMIT_NOFILE: {Cur: softFiles, Max: hardFiles}}
	for _, l := range limits {
		kind, ok := resourceLimits[l.Type]
		if !ok {
			return fault.Errorf(fault.Denied, "rlimit %.40q is not known", l.Type)
		}
		asked[kind] = syscall.Rlimit{Cur: l.Soft, Max: l.Hard}
	}
	asked[unix.RLIMIT_CORE] = syscall.Rlimit{}
	for kind, want := range asked {
		if err := limitProcess(pid, kind, want); err != nil {
			return fmt.Errorf("limit %d of a process: %w", kind, err)
		}
	}
	file := "/proc/self/oom_score_adj"
	if pid != 0 {
		file = "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	}
	return killable(file)
}

func limitProcess(pid, kind int, want syscall.Rlimit) error {
	var have unix.Rlimit
	if err := unix.Prlimit(pid, kind, nil, &have); err != nil {
		return err
	}
	want.Max = min(want.Max, have.Max)
	want.Cur = min(want.Cur, want.Max)
	if pid == 0 { // what this program has raised for itself would come back otherwise
		return syscall.Setrlimit(kind, &want)
	}
	return unix.Prlimit(pid, kind, &unix.Rlimit{Cur: want.Cur, Max: want.Max}, nil)
}

// HideUnified hides the tree of version 2 on a host that has trees of both from
// crun, which refuses such hosts. It must be called in a mount namespace of its
// own.
func HideUnified() error {
	if err := unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("hide cgroup v2 from crun: %w", err)
	}
	return nil
}

// SlaveMounts moves this thread into a mount namespace of its own, from which
// nothing gets back to the host's.
func SlaveMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("make mount namespace: %w", err))
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	return nil
}
