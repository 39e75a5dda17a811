package rewrite

import (
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// SELinux types of containers and their files (container-selinux). A process of
// another type, spc_t above all, is one of the host's.
var (
	processTypes = []string{"container_t", "container_init_t", "container_kvm_t", "svirt_lxc_net_t"}
	fileTypes    = []string{"container_file_t", "container_ro_file_t", "svirt_sandbox_file_t"}
)

func processLabel(p *object) error { return label(p, "selinuxLabel", processTypes) }

// label refuses a security context (user:role:type:level) that is not a
// container's.
func label(o *object, key string, types []string) error {
	context, err := o.text(key)
	if err != nil {
		return err
	}
	if context == "" {
		o.drop(key)
		return nil
	}
	parts := strings.SplitN(context, ":", 4)
	if len(parts) < 3 || !slices.Contains(types, parts[2]) || !consists(context, letters+digits+"_:,.-") {
		return fault.Errorf(fault.Denied, "%s: %.120q is not a container's", o.path(key), context)
	}
	return nil
}
