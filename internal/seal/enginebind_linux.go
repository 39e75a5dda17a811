package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/quota"
	"plimsoll/internal/seal/rewrite"
)

// binder opens what an engine wants mounted into a container, judges what it
// opened, and attaches it with the IDs that it may have there.
type binder struct {
	grant  *protocol.Grant
	shared []string // folders that engines keep for containers whose namespaces are joined
	users  int      // the container's user namespace: IDs as they are on disk
	squash int      // another, in which the team's IDs on disk are the container's; negative until needed

	// options that the spec's mounts must have beside theirs, by source.
	options map[string][]string
}

// bind carries out one mount.
func (b *binder) bind(ctx context.Context, m rewrite.Mount) (err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, m.Source, &how)
	if errors.Is(err, unix.ENOENT) {
		return fault.Errorf(fault.NotFound, "mount of %q: %w", m.Source, err)
	}
	if err != nil { // ELOOP: a link of /proc on the way
		return fault.Errorf(fault.Denied, "mount of %q: it cannot be opened: %w", m.Source, err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := b.bindOpen(ctx, m, fd); err != nil {
		return fmt.Errorf("mount of %q on %q: %w", m.Source, m.Destination, err)
	}
	return nil
}

func (b *binder) bindOpen(ctx context.Context, m rewrite.Mount, fd int) error {
	real, err := os.Readlink(fdPath(fd))
	if err != nil {
		return err
	}
	folder, err := mountable(fd)
	if err != nil {
		return err
	}
	way, err := b.judge(m, real, fd)
	if err != nil {
		return err
	}
	attrs := uint64(unix.MOUNT_ATTR_NODEV)
	if way.readOnly {
		attrs |= unix.MOUNT_ATTR_RDONLY
	}
	if m.NoSuid {
		attrs |= unix.MOUNT_ATTR_NOSUID
	}
	if folder {
		err = os.Mkdir(m.Target, 0o711) //nolint:gosec // walked through by the container's first process
	} else {
		err = os.WriteFile(m.Target, nil, 0o600)
	}
	if err != nil {
		return err
	}
	if folder && way.memory && !memoryMaps() {
		return errors.Join(b.freshMemory(fd, m.Target), b.keepFlags(m.Target))
	}
	users := b.users
	if way.host {
		if users, err = b.squashed(ctx); err != nil {
			return err
		}
	}
	if err := b.attach(fd, users, attrs, m.Recursive && folder && way.host, m.Target); err != nil {
		return err
	}
	return b.keepFlags(m.Target)
}

// keepFlags has the spec ask for what the host mounted with: a runtime in a user
// namespace may not take it away, and some try.
func (b *binder) keepFlags(target string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(target, &fs); err != nil {
		return err
	}
	for flag, option := range map[int64]string{unix.ST_RDONLY: "ro", unix.ST_NOSUID: "nosuid", unix.ST_NOEXEC: "noexec"} {
		if fs.Flags&flag != 0 {
			b.options[target] = append(b.options[target], option)
		}
	}
	return nil
}

// way is how something is mounted.
type way struct {
	readOnly bool
	host     bool // it is the host's: IDs on disk are the team's
	memory   bool // it is the engine's /dev/shm
}

// judge says how what fd is open on, at the real path, is mounted.
func (b *binder) judge(m rewrite.Mount, real string, fd int) (way, error) {
	if slices.ContainsFunc(b.grant.Own, func(dir string) bool { return within(real, dir) }) || b.ofJoined(m.Destination, real) {
		return way{readOnly: m.ReadOnly, memory: m.Destination == "/dev/shm"}, nil
	}
	volume, err := b.volume(real, fd)
	if err != nil || volume {
		return way{readOnly: m.ReadOnly}, err
	}
	initial, err := isInit(m.Destination, real, fd)
	if err != nil || initial {
		return way{readOnly: true}, err
	}
	asked := Mount{Source: m.Source, Target: m.Destination, ReadOnly: m.ReadOnly}
	readOnly, err := Judge(real, asked, b.grant.Profile.Mounts, b.grant.Protected)
	return way{readOnly: readOnly, host: true}, err
}

// sharedFiles are what a container that joins another's namespaces has from it.
var sharedFiles = []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm"}

func (b *binder) ofJoined(destination, real string) bool {
	return slices.Contains(sharedFiles, destination) && path.Base(real) == path.Base(destination) &&
		slices.ContainsFunc(b.shared, func(dir string) bool { return within(real, dir) })
}

// dataFolder is where a named volume's files lie in its folder.
const dataFolder = "_data"

// volume reports whether real is or lies in the data folder of a volume that was
// granted. One that something is mounted on, or in, counts as the host's: the
// files there are not the engine's.
func (b *binder) volume(real string, fd int) (bool, error) {
	for _, root := range b.grant.VolumeRoots {
		rest, ok := strings.CutPrefix(real, root+"/")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, "/")
		data, _, _ := strings.Cut(rest, "/")
		if data != dataFolder || !slices.Contains(b.grant.VolumeNames, name) {
			return false, fault.Errorf(fault.Denied, "it is no volume of the container's team")
		}
		same, err := sameMount(root, fd)
		if err == nil && same && b.grant.Volumes != 0 {
			err = quota.Assign(filepath.Join(root, name, dataFolder), b.grant.TeamProject)
		}
		return same, err
	}
	return false, nil
}

func sameMount(dir string, fd int) (same bool, err error) {
	d, err := openDir(dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, unix.Close(d)) }()
	a, err := mountID(d)
	if err != nil {
		return false, err
	}
	c, err := mountID(fd)
	return a == c, err
}

// inits are where engines mount the small program that is a container's first
// process if it is asked for.
var inits = []string{"/sbin/docker-init", "/dev/init", "/run/podman-init"}

// isInit reports whether it is that: a program that everybody may run and only
// root can change.
func isInit(destination, real string, fd int) (bool, error) {
	name := filepath.Base(real)
	if !slices.Contains(inits, destination) || !slices.Contains([]string{"docker-init", "tini", "tini-static", "catatonit"}, name) {
		return false, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Uid == 0 && st.Mode&0o022 == 0 && st.Mode&0o005 == 0o005 && st.Mode&0o6000 == 0, nil
}

// squashed returns the user namespace in which the team's IDs on disk are the
// container's.
func (b *binder) squashed(ctx context.Context) (int, error) {
	if b.squash >= 0 {
		return b.squash, nil
	}
	fd, err := newUserNamespace(ctx, b.grant.Disk, b.grant.IDs)
	if err == nil {
		b.squash = fd
	}
	return fd, err
}

func (b *binder) close() error {
	if b.squash < 0 {
		return nil
	}
	return unix.Close(b.squash)
}

// attach mounts what fd is open on at target. With submounts it is all or
// nothing: what they hide is not shown either.
func (b *binder) attach(fd, users int, attrs uint64, recursive bool, target string) error {
	if !recursive {
		c, err := clone(fd, users, attrs)
		if err != nil {
			return err
		}
		return attach(c, target)
	}
	c, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | attrs, Userns_fd: uint64(users), Propagation: unix.MS_PRIVATE} //nolint:gosec // a descriptor
	if err := unix.MountSetattr(c, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		err = fault.Errorf(fault.Unavailable, "a file system there cannot map IDs (mount_setattr: %w)", err)
		return errors.Join(fault.Hint(err, "--mount type=bind,bind-nonrecursive=true leaves out what is mounted below"), unix.Close(c))
	}
	return attach(c, target)
}

// memoryMaps reports whether tmpfs can map IDs, which it does from Linux 6.3 on;
// tests exchange it.
var memoryMaps = func() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return kernelFrom(unix.ByteSliceToString(u.Release[:]), 6, 3)
}

// freshMemory mounts a file system in memory that is as large as the one that fd
// is open on, where that cannot be mapped.
func (b *binder) freshMemory(fd int, target string) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return err
	}
	if fs.Type != unix.TMPFS_MAGIC {
		return fault.Errorf(fault.Unavailable, "it is no file system in memory, as an engine's shared memory is")
	}
	size := fs.Blocks * uint64(fs.Bsize) //nolint:gosec // never negative
	base := strconv.FormatUint(uint64(b.grant.IDs.Base), 10)
	options := "mode=1777,size=" + strconv.FormatUint(size, 10) + ",uid=" + base + ",gid=" + base
	if err := unix.Mount("shm", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
		return fmt.Errorf("mount memory: %w", err)
	}
	return nil
}
