package rewrite

import (
	"slices"
	"strconv"
	"strings"
)

// Annotations of the container's own, by which others find whose it is.
const (
	teamAnnotation     = "dev.plimsoll.team"
	baseAnnotation     = "dev.plimsoll.base"
	decisionAnnotation = "dev.plimsoll.decision"
)

// obeyed are the beginnings of annotations that somebody acts on: ours, and those
// by which runtimes do other than the rest of the spec says (crun: another handler,
// another seccomp filter, the host's groups; runc: properties of systemd units;
// Kata and gVisor: the machine's own settings; CRIU: its configuration).
var obeyed = []string{
	"dev.plimsoll.", "run.oci.", "org.systemd.property.", "org.criu.", "io.katacontainers.", "dev.gvisor.", "krun.", "module.wasm.",
}

// own reports whether an annotation is the engine's to write.
func own(key string) bool {
	key = strings.ToLower(key)
	return !slices.ContainsFunc(obeyed, func(prefix string) bool {
		return strings.HasPrefix(key, prefix) || key == strings.TrimSuffix(prefix, ".")
	})
}

func (w *work) annotations(spec *object) error {
	all, err := spec.table("annotations")
	if err != nil {
		return err
	}
	kept := &object{where: "annotations"}
	if all != nil {
		for _, m := range all.members {
			if own(m.name) {
				kept.members = append(kept.members, m)
			}
		}
	}
	kept.set(teamAnnotation, w.grant.Team)
	kept.set(baseAnnotation, strconv.FormatUint(uint64(w.grant.IDs.Base), 10))
	kept.set(decisionAnnotation, w.grant.Decision)
	spec.put("annotations", kept.encode())
	return nil
}
