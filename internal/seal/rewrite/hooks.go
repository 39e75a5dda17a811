package rewrite

import (
	"encoding/json"
	"path"
	"strings"

	"plimsoll/internal/fault"
)

var hookMoments = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

// hooks refuses programs that the runtime would start, most of them as the
// host's root, but for the one that Docker needs to connect a container to its
// network: dockerd itself, called by the name libnetwork-setkey, which tells the
// running dockerd where the new network namespace is.
func (w *work) hooks(spec *object) error {
	hooks, err := spec.child("hooks", hookMoments)
	if err != nil || hooks == nil {
		return err
	}
	for _, m := range hooks.members {
		all, err := hooks.elements(m.name)
		if err != nil {
			return err
		}
		for _, raw := range all {
			program, err := setKey(raw)
			if err != nil {
				return err
			}
			if program == "" || m.name != "prestart" && m.name != "createRuntime" {
				return fault.Hint(fault.Errorf(fault.Denied, "hooks.%s: %.120s: a hook runs as the host's root", m.name, raw),
					"give the container what the hook would bring by its team's profile")
			}
			w.plan.Hooks = append(w.plan.Hooks, program)
		}
	}
	return nil
}

// setKey returns the program of a hook that is Docker's, "" for another.
func setKey(raw json.RawMessage) (string, error) {
	o, err := parse(raw, "hooks", []string{"path", "args", "env", "timeout"})
	if err != nil {
		return "", err
	}
	program, err := o.text("path")
	if err != nil {
		return "", err
	}
	args, err := o.texts("args")
	if err != nil {
		return "", err
	}
	env, err := o.texts("env")
	if err != nil {
		return "", err
	}
	pid, ok := strings.CutPrefix(program, "/proc/")
	pid, exe := strings.CutSuffix(pid, "/exe")
	if !ok || !exe || pid == "" || !consists(pid, digits) || len(env) > 0 || len(args) != 4 || args[0] != "libnetwork-setkey" {
		return "", nil
	}
	folder, ok := strings.CutPrefix(args[1], "-exec-root=")
	if !ok || !path.IsAbs(folder) || climbs(folder) || !hexadecimal(args[2]) || !hexadecimal(args[3]) {
		return "", nil
	}
	return program, nil
}

func hexadecimal(s string) bool { return s != "" && consists(s, digits+"abcdef") }
