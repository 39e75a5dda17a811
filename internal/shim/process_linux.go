package shim

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
)

const maxProcess = 4 << 20 // bytes of an exec's process, or an update's resources

// find returns what the container of the call was granted; without that nothing
// joins it.
func (s *shim) find(c *call, id string) (*seal.Sealed, error) {
	if !protocol.ValidID(id) {
		return nil, fault.Errorf(fault.Usage, "%.80q is no container's ID", id)
	}
	sealed, err := s.grants.Find(c.state(), id)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.As(fault.Denied, fmt.Errorf("%s: %w", c.name, err))
	}
	if err == nil && sealed.Users == 0 {
		return nil, fault.Errorf(fault.Denied, "%s: container %q was never made", c.name, id)
	}
	return sealed, err
}

// hostSituation is what depends on the host alone.
func (s *shim) hostSituation(id string) rewrite.Situation {
	return rewrite.Situation{Paths: seal.BundlePaths, ID: id, AppArmor: appArmor()}
}

// exec starts a process in a container, with what the container's grant has.
func (s *shim) exec(c *call) error {
	if fds := c.flags.last("preserve-fds"); fds != "" && fds != "0" {
		return fault.Errorf(fault.Denied, "--preserve-fds: descriptors of the host are not given to a container")
	}
	if len(c.args) == 0 {
		return fault.Errorf(fault.Usage, "exec: the ID of a container is needed")
	}
	id := c.args[0]
	sealed, err := s.find(c, id)
	if err != nil {
		return err
	}
	process, err := s.process(c)
	if err != nil {
		return err
	}
	rewritten, limits, err := rewrite.Process(process, &sealed.Grant, s.hostSituation(id))
	if err != nil {
		return err
	}
	if err := keepNothing(); err != nil {
		return err
	}
	file, err := memory("process", rewritten)
	if err != nil {
		return err
	}
	args := slices.Concat(c.globalList(), []string{"exec", "--process=" + file},
		c.flags.list(c.command.flags, "detach", "pid-file", "console-socket", "pidfd-socket", "ignore-paused", "no-subreaper"), []string{id})
	if err := ownStreams(rewritten, sealed.Grant.IDs); err != nil {
		return err
	}
	if err := seal.LimitProcess(0, limits); err != nil {
		return err
	}
	return become(sealed.Runtime.Path, args)
}

// process returns what is to be started: the file of the command line, or what
// its flags make of the container's own process.
func (s *shim) process(c *call) ([]byte, error) {
	if file := c.flags.last("process"); file != "" {
		b, err := durable.ReadFile(file, maxProcess)
		return b, fault.As(fault.Invalid, err)
	}
	if len(c.args) < 2 {
		return nil, fault.Errorf(fault.Usage, "exec: a command is needed, or --process")
	}
	b, err := durable.ReadFile(filepath.Join(s.grants.Path(c.state(), c.args[0]), configFile), maxSpec)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	var spec struct {
		Process map[string]any `json:"process"`
	}
	if err := json.Unmarshal(b, &spec); err != nil || spec.Process == nil {
		return nil, fault.Errorf(fault.Invalid, "the container's configuration is damaged")
	}
	if err := setProcess(spec.Process, c); err != nil {
		return nil, err
	}
	return json.Marshal(spec.Process)
}

func setProcess(process map[string]any, c *call) error {
	process["args"] = c.args[1:]
	process["terminal"] = c.flags.has("tty")
	if cwd := c.flags.last("cwd"); cwd != "" {
		process["cwd"] = cwd
	}
	if c.flags.has("no-new-privs") {
		process["noNewPrivileges"] = true
	}
	if env := c.flags["env"]; len(env) > 0 {
		have, _ := process["env"].([]any) // none is as good
		for _, e := range env {
			have = append(have, e)
		}
		process["env"] = have
	}
	user, _ := process["user"].(map[string]any)
	if user == nil {
		user = map[string]any{}
	}
	if err := setUser(user, c); err != nil {
		return err
	}
	process["user"] = user
	return nil
}

func setUser(user map[string]any, c *call) error {
	number := func(s string) (uint64, error) {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return 0, fault.Errorf(fault.Usage, "user or group %.40q is no ID of a container", s)
		}
		return n, nil
	}
	if asked := c.flags.last("user"); asked != "" {
		uid, gid, both := strings.Cut(asked, ":")
		for key, s := range map[string]string{"uid": uid, "gid": gid} {
			if s == "" && (key == "uid" || !both) {
				continue
			}
			n, err := number(s)
			if err != nil {
				return err
			}
			user[key] = n
		}
	}
	groups, _ := user["additionalGids"].([]any)
	for _, g := range c.flags["additional-gids"] {
		n, err := number(g)
		if err != nil {
			return err
		}
		groups = append(groups, n)
	}
	if len(groups) > 0 {
		user["additionalGids"] = groups
	}
	return nil
}

// update changes a container's limits, within its profile's.
func (s *shim) update(c *call) error {
	id, err := c.id(0)
	if err != nil {
		return err
	}
	sealed, err := s.find(c, id)
	if err != nil {
		return err
	}
	file := c.flags.last("resources")
	if file == "" {
		return fault.Errorf(fault.Usage, "update: only limits in a file can be judged (--resources)")
	}
	b, err := readResources(file)
	if err != nil {
		return err
	}
	cgroups, err := seal.FindCgroups()
	if err != nil {
		return err
	}
	situation := s.hostSituation(id)
	situation.Swap, situation.Unified = cgroups.SwapAccounted(), cgroups.Unified()
	rewritten, err := rewrite.Update(b, &sealed.Grant, situation)
	if err != nil {
		return err
	}
	if err := keepNothing(); err != nil {
		return err
	}
	limits, err := memory("resources", rewritten)
	if err != nil {
		return err
	}
	return become(sealed.Runtime.Path, slices.Concat(c.globalList(), []string{"update", "--resources=" + limits, id}))
}

func readResources(file string) ([]byte, error) {
	if file != "-" {
		b, err := durable.ReadFile(file, maxProcess)
		return b, fault.As(fault.Invalid, err)
	}
	b, err := io.ReadAll(io.LimitReader(os.Stdin, maxProcess+1))
	if err != nil {
		return nil, fmt.Errorf("update: read limits: %w", err)
	}
	if len(b) > maxProcess {
		return nil, fault.Errorf(fault.Invalid, "update: longer than %d bytes", maxProcess)
	}
	return b, nil
}

// memory returns the path of a file in memory that only this process and what it
// becomes have, and nobody can change: there is nothing to put away.
func memory(name string, b []byte) (string, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_ALLOW_SEALING)
	if err != nil {
		return "", fmt.Errorf("make file in memory: %w", err)
	}
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil {
			return "", fmt.Errorf("write file in memory: %w", err)
		}
		b = b[n:]
	}
	seals := unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return "", fmt.Errorf("seal file in memory: %w", err)
	}
	return "/proc/self/fd/" + strconv.Itoa(fd), nil
}
