package seal

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// spaceFiles are the names of namespaces in /proc/PID/ns.
var spaceFiles = map[specs.LinuxNamespaceType]string{
	specs.PIDNamespace: "pid", specs.NetworkNamespace: "net", specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts",
	specs.CgroupNamespace: "cgroup", specs.MountNamespace: "mnt", specs.TimeNamespace: "time",
}

// Spaces are namespaces of other containers that a container joins. They are
// opened once: a process whose number the path has may end, and another get its
// number.
type Spaces struct {
	With []*Sealed // containers that they belong to, all in one user namespace

	open   map[specs.LinuxNamespace]int
	host   map[specs.LinuxNamespace]bool
	users  int    // descriptor of their user namespace, negative if nothing is joined
	number uint64 // of that one
	owner  uint32 // ID on the host that it belongs to
}

// OpenSpaces opens the namespaces of a spec that have a path, and finds out whose
// they are. One that is neither the host's (which is for others to refuse) nor a
// sealed container's is Denied. The caller closes them.
func (g Grants) OpenSpaces(asked []specs.LinuxNamespace) (s *Spaces, err error) {
	s = &Spaces{open: map[specs.LinuxNamespace]int{}, host: map[specs.LinuxNamespace]bool{}, users: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, n := range asked {
		if n.Path == "" || n.Type == specs.UserNamespace {
			continue
		}
		if err := s.add(n); err != nil {
			return s, fmt.Errorf("%s namespace %q: %w", n.Type, n.Path, err)
		}
	}
	if s.users < 0 {
		return s, nil
	}
	if s.With, err = g.ofUsers(s.number, s.owner); err != nil {
		return s, err
	}
	for _, w := range s.With {
		if w.Grant.Team != s.With[0].Grant.Team {
			return s, fault.Errorf(fault.Denied, "containers of the teams %q and %q seem to share a user namespace", w.Grant.Team, s.With[0].Grant.Team)
		}
	}
	if len(s.With) == 0 {
		return s, fault.Errorf(fault.Denied, "the container would join namespaces that belong to no sealed container")
	}
	return s, nil
}

// add opens one and checks that it belongs to the same user namespace as the
// others.
func (s *Spaces) add(n specs.LinuxNamespace) error {
	file, ok := spaceFiles[n.Type]
	if !ok {
		return fault.Errorf(fault.Denied, "its kind is not known")
	}
	fd, err := unix.Open(n.Path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return fault.As(fault.Denied, err)
	}
	s.open[n] = fd
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		return fault.Errorf(fault.Denied, "it is no namespace")
	}
	number, err := numberOf(fd)
	if err != nil {
		return err
	}
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/"+file, &own); err != nil {
		return err
	}
	if number == own.Ino {
		s.host[n] = true
		return nil
	}
	users, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil { // EPERM: outside of the host's own
		return fault.Errorf(fault.Denied, "whose it is cannot be told: %w", err)
	}
	return s.belongs(users)
}

// numberOf returns the number of an open namespace, by which the kernel tells
// them apart while they exist.
func numberOf(fd int) (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Ino, err
}

// belongs takes over the descriptor of a namespace's user namespace.
func (s *Spaces) belongs(users int) error {
	number, err := numberOf(users)
	if err != nil {
		return errors.Join(err, unix.Close(users))
	}
	if s.users >= 0 {
		if err := unix.Close(users); err != nil {
			return err
		}
		if number != s.number {
			return fault.Errorf(fault.Denied, "the container would join namespaces of containers that have different IDs")
		}
		return nil
	}
	s.users, s.number = users, number
	owner, err := ownerOf(users)
	if err != nil {
		return fault.Errorf(fault.Denied, "whose it is cannot be told: %w", err)
	}
	s.owner = owner
	return nil
}

// ownerOf returns the ID of the user that made a user namespace
// (ioctl_nsfs(2)).
func ownerOf(users int) (owner uint32, err error) {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(users), unix.NS_GET_OWNER_UID, uintptr(unsafe.Pointer(&owner))) //nolint:gosec // the kernel writes a uid_t
	if errno != 0 {
		return 0, errno
	}
	return owner, nil
}

// IDs of the containers that they belong to, none if nothing is joined.
func (s *Spaces) IDs() []string {
	var all []string
	for _, w := range s.With {
		all = append(all, w.ID)
	}
	return all
}

// Host reports whether a namespace that was opened is the host's own. One that
// was not is an error.
func (s *Spaces) Host(kind specs.LinuxNamespaceType, path string) (bool, error) {
	n := specs.LinuxNamespace{Type: kind, Path: path}
	if _, ok := s.open[n]; !ok {
		return false, fault.Errorf(fault.Denied, "it was not looked at")
	}
	return s.host[n], nil
}

// bind gives the joined namespaces paths in buildDir that stay theirs, and
// returns those by the paths that were asked for.
func (s *Spaces) bind(joined []specs.LinuxNamespace) (map[specs.LinuxNamespace]string, error) {
	at := map[specs.LinuxNamespace]string{}
	for i, n := range joined {
		fd, ok := s.open[n]
		if !ok || s.host[n] {
			return nil, fault.Errorf(fault.Denied, "%s namespace %q was not looked at", n.Type, n.Path)
		}
		at[n] = buildDir + "/s" + strconv.Itoa(i)
		if err := bindSpace(fd, at[n]); err != nil {
			return nil, err
		}
	}
	return at, nil
}

// bindSpace mounts an open namespace at the new file path.
func bindSpace(fd int, path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount(fdPath(fd), path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind namespace: %w", err)
	}
	return nil
}

// Close closes what OpenSpaces opened.
func (s *Spaces) Close() (err error) {
	for _, fd := range s.open {
		err = errors.Join(err, unix.Close(fd))
	}
	if s.users >= 0 {
		err = errors.Join(err, unix.Close(s.users))
	}
	s.open, s.users = nil, -1
	return err
}
