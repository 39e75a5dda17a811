package rewrite

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

var hookMoments = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

// hooks refuses programs that the runtime would start, most of them as the
// host's root, but for the one that Docker needs to connect a container to its
// network: dockerd itself, called by the name libnetwork-setkey, which tells the
// running dockerd where the new network namespace is. Situation.SetKey takes its
// place.
func (w *work) hooks(spec *object) error {
	hooks, err := spec.child("hooks", hookMoments)
	if err != nil || hooks == nil {
		return err
	}
	for _, m := range slices.Clone(hooks.members) {
		all, err := hooks.elements(m.name)
		if err != nil {
			return err
		}
		for i, raw := range all {
			hook, program, err := setKey(raw)
			if err != nil {
				return err
			}
			if hook == nil || m.name != "prestart" && m.name != "createRuntime" {
				return fault.Hint(fault.Errorf(fault.Denied, "hooks.%s: %.120s: a hook runs as the host's root", m.name, raw),
					"give the container what the hook would bring by its team's profile")
			}
			w.plan.Hooks = append(w.plan.Hooks, program)
			if all[i], err = w.inPlaceOf(hook, program); err != nil {
				return err
			}
		}
		if len(all) > 0 {
			hooks.set(m.name, all)
		}
	}
	spec.put("hooks", hooks.encode())
	return nil
}

// inPlaceOf returns the hook with Situation.SetKey before its program and arguments.
func (w *work) inPlaceOf(hook *object, program string) (json.RawMessage, error) {
	args, err := hook.texts("args")
	if err != nil {
		return nil, err
	}
	if len(w.host.SetKey) > 0 {
		hook.set("path", w.host.SetKey[0])
		hook.set("args", slices.Concat(w.host.SetKey, []string{program}, args))
	}
	return hook.encode(), nil
}

// setKey returns a hook that is Docker's and its program, nil for another.
func setKey(raw json.RawMessage) (hook *object, program string, err error) {
	o, err := parse(raw, "hooks", []string{"path", "args", "env", "timeout"})
	if err != nil {
		return nil, "", err
	}
	program, err = o.text("path")
	if err != nil {
		return nil, "", err
	}
	args, err := o.texts("args")
	if err != nil {
		return nil, "", err
	}
	env, err := o.texts("env")
	if err != nil {
		return nil, "", err
	}
	pid, ok := strings.CutPrefix(program, "/proc/")
	pid, exe := strings.CutSuffix(pid, "/exe")
	if !ok || !exe || pid == "" || !consists(pid, digits) || len(env) > 0 || len(args) != 4 || args[0] != "libnetwork-setkey" {
		return nil, "", nil
	}
	folder, ok := strings.CutPrefix(args[1], "-exec-root=")
	if !ok || !path.IsAbs(folder) || climbs(folder) || !hexadecimal(args[2]) || !hexadecimal(args[3]) {
		return nil, "", nil
	}
	return o, program, nil
}

func hexadecimal(s string) bool { return s != "" && consists(s, digits+"abcdef") }
