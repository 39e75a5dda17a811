package shim

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// streamUser is what a process says of who it is; rewriting has judged it.
type streamUser struct {
	Terminal bool `json:"terminal"`
	User     struct {
		UID uint32 `json:"uid"`
		GID uint32 `json:"gid"`
	} `json:"user"`
}

// ownStreams gives the standard streams of a process that is to be started to
// its user, so that it can open /dev/stdout. The runtime does so itself where
// there is no user namespace; within one it may not change the owner of a pipe of
// the host's.
func ownStreams(process []byte, ids idmap.Range) error {
	var p streamUser
	if err := json.Unmarshal(process, &p); err != nil {
		return fault.As(fault.Invalid, err)
	}
	if p.Terminal { // the runtime makes it, within the container
		return nil
	}
	if p.User.UID >= ids.Size || p.User.GID >= ids.Size {
		return fault.Errorf(fault.Denied, "user %d or group %d is none of a container's", p.User.UID, p.User.GID)
	}
	for fd := range 3 {
		if err := ownPipe(fd, int(ids.Base+p.User.UID), int(ids.Base+p.User.GID)); err != nil {
			return err
		}
	}
	return nil
}

// ownPipe gives a pipe that has no name, and that is root's, to another user.
// Anything else is left as it is: a file, a socket of the journal or a FIFO in a
// folder is there for others, too.
func ownPipe(fd, uid, gid int) error {
	var fs unix.Statfs_t
	var st unix.Stat_t
	if err := errors.Join(unix.Fstatfs(fd, &fs), unix.Fstat(fd, &st)); errors.Is(err, unix.EBADF) { // closed
		return nil
	} else if err != nil {
		return err
	}
	if fs.Type != unix.PIPEFS_MAGIC || st.Mode&unix.S_IFMT != unix.S_IFIFO || st.Uid != 0 {
		return nil
	}
	if err := unix.Fchown(fd, uid, gid); err != nil {
		return fmt.Errorf("give standard stream %d to the container's user: %w", fd, err)
	}
	return nil
}
