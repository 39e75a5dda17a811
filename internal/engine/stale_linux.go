package engine

import (
	"net/http"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// refresh drops what the engine's own mount of a container's root remembers of
// names. A sealed container's root is another mount over the same folders, and
// the kernel tells neither of what the other changed; the files' content is the
// same for both. A mount that is not there has nothing to drop.
func (q *request) refresh(id string) error {
	var found struct {
		GraphDriver struct {
			Name string
			Data map[string]string
		}
		State struct{ Running bool }
	}
	if err := q.ask(outgoing{method: http.MethodGet, path: "containers/" + id + "/json"}, &found); err != nil {
		return err
	}
	merged := found.GraphDriver.Data["MergedDir"]
	if !found.State.Running || found.GraphDriver.Name != "overlay2" || merged == "" {
		return nil
	}
	fd, err := unix.Fspick(unix.AT_FDCWD, merged, unix.FSPICK_CLOEXEC|unix.FSPICK_NO_AUTOMOUNT)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "refresh the engine's view of container %s: %w", id, err)
	}
	defer unix.Close(fd)
	if err := unix.FsconfigReconfigure(fd); err != nil {
		return fault.Errorf(fault.Unavailable, "refresh the engine's view of container %s: %w", id, err)
	}
	return nil
}
