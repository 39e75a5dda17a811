package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"plimsoll/internal/profile"
)

// The actions that a team may be allowed.
const (
	ActionRun   = "run"   // have containers: make, start, stop, remove them, pull images
	ActionExec  = "exec"  // start a process in a container that runs, or attach to it
	ActionLogs  = "logs"  // read what a container has written
	ActionBuild = "build" // make images: build, commit, load
	ActionCopy  = "copy"  // copy files into and out of a container
)

// Actions are all of them.
var Actions = []string{ActionRun, ActionExec, ActionLogs, ActionBuild, ActionCopy}

func (d *decoder) checkTeam(path string, t *Team) {
	if strings.Count(path, ".") > 1 {
		d.fail(path, "a team's name becomes that of a cgroup and cannot contain a dot")
	}
	if strings.HasSuffix(path, "."+Unattributed) {
		d.fail(path, "is what containers without a team are counted under")
	}
	for i, a := range t.May {
		if !slices.Contains(Actions, a) {
			d.fail(fmt.Sprintf("%s.may[%d]", path, i), "%q is none of %s", a, strings.Join(Actions, ", "))
		}
	}
	for name, list := range map[string][]string{"users": t.Members.Users, "certificates": t.Members.Certificates, "tokens": t.Members.Tokens, "groups": t.Members.Groups} {
		if slices.Contains(list, "") {
			d.fail(join(path, "members."+name), "has an empty name")
		}
	}
	p, err := t.Profile.profile()
	if err == nil {
		err = p.Validate()
	}
	var field *profile.FieldError
	switch {
	case errors.As(err, &field):
		d.fail(join(path, "profile."+field.Field), "%v", field.Err)
	case err != nil:
		d.fail(join(path, "profile"), "%v", err)
	}
	p.Total = profile.Share{CPUs: t.Total.CPUs, Memory: int64(t.Total.Memory), PIDs: t.Total.PIDs, Storage: int64(t.Total.Storage)}
	d.checkTotal(join(path, "total"), &p)
	t.granted = &p
}

// checkTotal demands that a team's total has room for one of its containers.
func (d *decoder) checkTotal(path string, p *profile.Profile) {
	for name, less := range map[string]bool{
		"cpus":    p.Total.CPUs != 0 && !(p.Total.CPUs >= p.CPUs),
		"memory":  p.Total.Memory != 0 && p.Total.Memory < p.Memory,
		"pids":    p.Total.PIDs != 0 && p.Total.PIDs < p.PIDs,
		"storage": p.Total.Storage != 0 && p.Total.Storage < p.Storage,
	} {
		if less {
			d.fail(join(path, name), "is less than what one container gets by the profile")
		}
	}
	if p.Total.Storage != 0 && p.Storage == 0 {
		d.fail(join(path, "storage"), "needs profile.storage: a container without a limit of its own cannot be counted")
	}
}

// profile returns p in the form that is enforced.
func (p *Profile) profile() (profile.Profile, error) {
	out := profile.Profile{
		CPUs: p.CPUs, Memory: int64(p.Memory), PIDs: p.PIDs, IOWeight: p.IO.Weight, Storage: int64(p.Storage),
		Network:      profile.Network{Mode: p.Network.Mode, Publish: p.Network.Publish, Egress: p.Network.Egress},
		Capabilities: slices.Sorted(slices.Values(p.Capabilities.Add)),
		SetuidFiles:  p.SetuidFiles == "allow",
		ReadOnly:     p.ReadOnly,
		Devices:      p.Devices,
		Runtime:      p.Runtime,
		Host:         p.Host,
	}
	if out.Network.Mode == "" {
		out.Network.Mode = "none"
	}
	if out.Runtime == "" {
		out.Runtime = "runc"
	}
	if p.SetuidFiles != "" && p.SetuidFiles != "allow" && p.SetuidFiles != "deny" {
		return out, fieldError("setuidFiles", "want deny or allow, got %q", p.SetuidFiles)
	}
	if p.Capabilities.Drop != "" && p.Capabilities.Drop != "all" {
		return out, fieldError("capabilities.drop", "can only be all: what is kept is named in add")
	}
	for _, m := range p.Mounts {
		mount, err := profile.ParseMount(m)
		if err != nil {
			return out, err
		}
		out.Mounts = append(out.Mounts, mount)
	}
	return out, nil
}

func fieldError(name, format string, args ...any) error {
	return &profile.FieldError{Field: name, Err: fmt.Errorf(format, args...)}
}
