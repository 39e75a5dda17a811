package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// workName is the folder beside an engine's writable layer that our overlay works
// in. The engine's own would be emptied under it.
const workName = "plimsoll-work"

// Root is what an engine has mounted, or lies in a folder, as a container's root.
type Root struct {
	Layers []string // real folders of an overlay's lower layers, top first; none if it is no overlay
	Upper  string   // real folder of its writable layer, "" if it has none

	fd      int // the root itself
	overlay bool
	options overlayOptions
	stack   stack
}

// OpenRoot opens the root of a container and the layers that it is stacked from.
// It must be called in the mount namespace that the container is built in, see
// [PrivateMounts]. The caller closes it.
func OpenRoot(path string) (r *Root, err error) {
	r = &Root{fd: -1, stack: stack{parent: -1}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return r, fault.As(fault.Invalid, fmt.Errorf("root of the container: open %q: %w", path, err))
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(r.fd, &fs); err != nil {
		return r, fmt.Errorf("root of the container: %w", err)
	}
	if fs.Type != unix.OVERLAYFS_SUPER_MAGIC {
		return r, nil
	}
	r.overlay = true
	m, err := mountOf(r.fd)
	if err != nil {
		return r, err
	}
	if m.FSType != "overlay" || m.Root != "/" || m.Mountpoint != pathOf(r.fd) {
		return r, fault.Errorf(fault.Denied, "root of the container: %q is a folder within an overlay, whose IDs cannot be mapped", path)
	}
	if r.options, err = parseOverlay(m.VFSOptions); err != nil {
		return r, err
	}
	return r, r.openLayers(m.Mountpoint)
}

// ReadOnly reports whether nothing can be written to the root.
func (r *Root) ReadOnly() bool { return r.overlay && (r.options.readOnly || r.Upper == "") }

// Close closes what OpenRoot opened.
func (r *Root) Close() error {
	err := r.stack.close()
	r.stack.lowers, r.stack.parent = nil, -1
	if r.fd >= 0 {
		err = errors.Join(err, unix.Close(r.fd))
		r.fd = -1
	}
	return err
}

// mountOf returns the mount that an open file lies on, by its number: paths may
// be mounted over.
func mountOf(fd int) (*mountinfo.Info, error) {
	id, err := mountID(fd)
	if err != nil {
		return nil, err
	}
	all, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) { return uint64(m.ID) != id, uint64(m.ID) == id }) //nolint:gosec // never negative
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	if len(all) != 1 {
		return nil, fault.Errorf(fault.Denied, "%q lies on no mount of this process", pathOf(fd))
	}
	return all[0], nil
}

func mountID(fd int) (uint64, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return 0, fmt.Errorf("ask for the mount of %q: %w", pathOf(fd), err)
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return 0, fault.Errorf(fault.Unavailable, "the kernel does not tell mounts apart: sealing needs Linux 5.19 or later")
	}
	return st.Mnt_id, nil
}

func (r *Root) openLayers(mountpoint string) error {
	base, err := r.relativeTo(mountpoint)
	if err != nil {
		return err
	}
	for _, name := range r.options.lowers {
		fd, err := unix.Open(below(base, name), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fault.As(fault.Invalid, fmt.Errorf("layer of the container: open %q: %w", name, err))
		}
		r.stack.lowers = append(r.stack.lowers, fd)
		r.Layers = append(r.Layers, pathOf(fd))
	}
	if r.options.upper == "" {
		return nil
	}
	upper, err := filepath.EvalSymlinks(below(base, r.options.upper))
	if err != nil {
		return fault.As(fault.Invalid, fmt.Errorf("writable layer of the container: %w", err))
	}
	r.Upper, r.stack.upper, r.stack.work = upper, filepath.Base(upper), workName
	r.stack.parent, err = openDir(filepath.Dir(upper))
	return err
}

func below(base, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(base, name)
}

// relativeTo returns the folder that an overlay's relative names lie in, which
// the kernel does not tell: engines call mount(2) with short names from the
// folder that holds one folder for each layer, the writable one's among them
// (containerd), or for each container, the mount point's among them (Docker,
// Podman). If both fit and differ, none does.
func (r *Root) relativeTo(mountpoint string) (string, error) {
	var relative []string
	for _, name := range append(slices.Clone(r.options.lowers), r.options.upper) {
		if name != "" && !filepath.IsAbs(name) {
			relative = append(relative, name)
		}
	}
	if len(relative) == 0 {
		return "", nil
	}
	grand := func(p string) string { return filepath.Dir(filepath.Dir(p)) }
	candidates := []string{grand(mountpoint)}
	if filepath.IsAbs(r.options.upper) {
		candidates = append(candidates, grand(r.options.upper))
	}
	var found []string
	for _, dir := range candidates {
		if !slices.Contains(found, dir) && allFolders(dir, relative) {
			found = append(found, dir)
		}
	}
	if len(found) != 1 {
		return "", fault.Errorf(fault.Denied, "root of the container: its layers have relative names, and %d folders have such: %q", len(found), relative[0])
	}
	return found[0], nil
}

func allFolders(dir string, names []string) bool {
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// mount puts the container's root at rootDir, its IDs mapped.
func (r *Root) mount(users int, base uint32) error {
	if err := os.Mkdir(rootDir, 0o755); err != nil { //nolint:gosec // the container's root
		return err
	}
	if !r.overlay {
		c, err := clone(r.fd, users, unix.MOUNT_ATTR_NODEV)
		if err != nil {
			return fmt.Errorf("root of the container: map IDs of %q: %w", pathOf(r.fd), err)
		}
		return attach(c, rootDir)
	}
	if err := r.makeWork(); err != nil {
		return err
	}
	r.stack.options = append([]string{"index=off"}, r.options.kept...)
	if err := stacking(&r.stack, rootDir, users, base); err != nil || !r.options.readOnly {
		return err
	}
	return unix.Mount("", rootDir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NODEV, "")
}

// makeWork makes the overlay's work folder. What a volatile mount leaves in it
// says that it may not be used again; ours holds nothing that lasts.
func (r *Root) makeWork() error {
	if r.stack.parent < 0 {
		return nil
	}
	path := filepath.Join(filepath.Dir(r.Upper), workName)
	if r.options.volatileWork {
		if err := removeTree(path); err != nil {
			return err
		}
	}
	err := unix.Mkdirat(r.stack.parent, workName, 0o700)
	if errors.Is(err, unix.EEXIST) {
		var st unix.Stat_t
		if err = unix.Fstatat(r.stack.parent, workName, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && (st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0) {
			return fault.Errorf(fault.Denied, "%q is not a folder of root", path)
		}
	}
	if err != nil {
		return fmt.Errorf("make %q: %w", path, err)
	}
	return nil
}
