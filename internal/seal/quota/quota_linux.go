package quota

import (
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// Project is what a project holds and may hold.
type Project struct {
	Bytes, MaxBytes   int64 // of blocks; 0 as maximum: no limit
	Inodes, MaxInodes int64
}

// minInodes is what a container gets however small its share: a root without
// files is of no use.
const minInodes = 4096

// Supported returns nil if project quotas of the file system that holds path are
// not only counted but enforced. The error is Unavailable and says in its hint
// how the file system would have to be mounted.
func Supported(path string) error {
	dir, err := openEnforced(path)
	if err != nil {
		return err
	}
	_ = dir.Close()
	return nil
}

// openEnforced opens a folder on a file system whose project quotas are enforced.
func openEnforced(path string) (*os.File, error) {
	dir, err := openFolder(path)
	if err != nil {
		return nil, err
	}
	if err := enforced(dir); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return dir, nil
}

func enforced(dir *os.File) error {
	state := stateV{Version: 1}
	err := control(dir, getState, 0, &state)
	if err == nil && state.Flags&(projectsCounted|projectsEnforced) == projectsCounted|projectsEnforced {
		return nil
	}
	if err == nil {
		err = errors.New("they are not enforced")
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &fs); err != nil {
		return fmt.Errorf("look at the file system of %q: %w", dir.Name(), err)
	}
	return fault.Hint(fault.Errorf(fault.Unavailable, "the file system of %q has no project quotas: %w", dir.Name(), err), "%s", hint(fs.Type))
}

// hint says how a file system of that magic number gets project quotas.
func hint(magic int64) string {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "unmounted, tune2fs -O project,quota -Q prjquota DEVICE; then mount it with the option prjquota"
	case unix.XFS_SUPER_MAGIC:
		return "mount it with the option pquota (for the root file system: rootflags=pquota on the kernel's command line)"
	}
	return "keep the engine's data on ext4, mounted with prjquota, or on xfs, mounted with pquota"
}

// Limit makes project the number of the folder dir and of everything in it, and
// lets the project hold bytes, rounded down to 512, and that share of the file
// system's inodes. What is there already counts; if it is more than the limit,
// nothing can be added to it. It is done anew without harm, which costs little
// when the folder has the number already.
//
// Other file systems that are mounted in the folder are left alone, as are the
// devices, sockets, pipes and links that were there before.
//
// The errors are Invalid for an impossible limit, Unavailable where the file
// system has no project quotas, and Denied if folders are nested too deeply.
func Limit(dir string, project uint32, bytes int64) error {
	if project == 0 || bytes < sector {
		return fault.Errorf(fault.Invalid, "limit %q to %d bytes as project %d: neither may be 0", dir, bytes, project)
	}
	f, err := openEnforced(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := bound(f, project, bytes); err != nil {
		return err
	}
	if err := number(f, project); err != nil {
		return fmt.Errorf("give %q to project %d: %w", dir, project, err)
	}
	return nil
}

// Bound lets project hold bytes, rounded down to 512, and that share of inodes on
// the file system of the folder path, whichever files bear its number. The errors
// are those of [Limit].
func Bound(path string, project uint32, bytes int64) error {
	if project == 0 || bytes < sector {
		return fault.Errorf(fault.Invalid, "limit project %d to %d bytes: neither may be 0", project, bytes)
	}
	f, err := openEnforced(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return bound(f, project, bytes)
}

func bound(dir *os.File, project uint32, bytes int64) error {
	inodes, err := inodesFor(dir, bytes)
	if err != nil {
		return err
	}
	return setLimits(dir, project, uint64(bytes/sector), inodes) //nolint:gosec // not negative
}

// Assign makes project the number of the folder dir and of everything in it, as
// [Limit] does, and leaves its limit as it is. A project without a limit is
// Denied.
func Assign(dir string, project uint32) error {
	if project == 0 {
		return fault.Errorf(fault.Invalid, "project 0 is the host's")
	}
	f, err := openEnforced(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	p, err := read(f, project)
	if err == nil && (p.MaxBytes == 0 || p.MaxInodes == 0) {
		err = fault.Errorf(fault.Denied, "project %d has no limit on the file system of %q", project, dir)
	}
	if err == nil {
		err = number(f, project)
	}
	if err != nil {
		return fmt.Errorf("give %q to project %d: %w", dir, project, err)
	}
	return nil
}

// inodesFor returns the share of the file system's inodes that goes with bytes.
func inodesFor(dir *os.File, bytes int64) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &fs); err != nil {
		return 0, fmt.Errorf("look at the file system of %q: %w", dir.Name(), err)
	}
	total := float64(fs.Blocks) * float64(fs.Bsize)
	if total == 0 || fs.Files == 0 {
		return 0, fault.Errorf(fault.Unavailable, "the file system of %q does not say how large it is", dir.Name())
	}
	share := float64(fs.Files) * (float64(bytes) / total)
	return uint64(max(minInodes, min(share, math.MaxUint32))), nil
}

// setLimits sets both limits and reads them back: a limit that the kernel took
// for another would be none.
func setLimits(dir *os.File, project uint32, sectors, inodes uint64) error {
	q := diskQuota{Version: 1, Flags: projectQuota, ID: project, Fields: fieldLimits, BlockHard: sectors, InodeHard: inodes}
	if err := control(dir, setQuota, project, &q); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("set the quota of project %d on %q: %w", project, dir.Name(), err))
	}
	got, err := read(dir, project)
	if err != nil {
		return err
	}
	// ext4 keeps blocks of 1024 bytes, rounded up.
	if got.MaxBytes < int64(sectors*sector) || got.MaxBytes > int64(sectors+8)*sector || (sectors == 0) != (got.MaxBytes == 0) { //nolint:gosec // from an int64
		return fault.Errorf(fault.Internal, "the quota of project %d on %q is %d bytes, not %d", project, dir.Name(), got.MaxBytes, sectors*sector)
	}
	return nil
}

// Usage returns what project holds on the file system of path. A project that
// nobody ever used holds nothing.
func Usage(path string, project uint32) (Project, error) {
	f, err := openFolder(path)
	if err != nil {
		return Project{}, err
	}
	defer func() { _ = f.Close() }()
	return read(f, project)
}

func read(dir *os.File, project uint32) (Project, error) {
	var q diskQuota
	err := control(dir, getQuota, project, &q)
	if errors.Is(err, unix.ENOENT) {
		return Project{}, nil
	}
	if err != nil {
		return Project{}, fault.As(fault.Unavailable, fmt.Errorf("read the quota of project %d on %q: %w", project, dir.Name(), err))
	}
	//nolint:gosec // no file system is that large
	return Project{
		Bytes: int64(q.BlockCount) * sector, MaxBytes: int64(q.BlockHard) * sector,
		Inodes: int64(q.InodeCount), MaxInodes: int64(q.InodeHard),
	}, nil
}

// Unused returns nil if no file of the file system bears the number of project; if
// any does, it is a Conflict. path is anything on the file system, and nothing is
// written to it.
func Unused(path string, project uint32) error {
	f, err := openFolder(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = unused(f, project)
	return err
}

func unused(dir *os.File, project uint32) (Project, error) {
	if project == 0 {
		return Project{}, fault.Errorf(fault.Invalid, "project 0 is the host's")
	}
	p, err := read(dir, project)
	if err == nil && (p.Inodes > 0 || p.Bytes > 0) {
		err = fault.Errorf(fault.Conflict, "project %d still has %d files of %d bytes on the file system of %q", project, p.Inodes, p.Bytes, dir.Name())
	}
	return p, err
}

// Clear takes the limits of project away, so that its number can be given to
// another. While files still bear the number it changes nothing and the error is
// Conflict: a container that has stopped keeps what it wrote until it is removed,
// and xfs takes a moment to give back what was removed.
// path is anything on the file system.
func Clear(path string, project uint32) error {
	f, err := openFolder(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	p, err := unused(f, project)
	if err != nil {
		return err
	}
	if p.MaxBytes == 0 && p.MaxInodes == 0 {
		return nil
	}
	return setLimits(f, project, 0, 0)
}
