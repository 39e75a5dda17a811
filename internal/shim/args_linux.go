package shim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

// Kinds of flags.
const (
	boolean = iota + 1
	value
	repeated // value that may be given several times
)

// flagKinds are flags by their long names; synonyms are short ones.
type flagKinds map[string]int

var synonyms = map[string]string{
	"b": "bundle", "p": "process", "d": "detach", "t": "tty", "u": "user", "e": "env", "g": "additional-gids", "c": "cap",
	"r": "resources", "f": "force", "h": "help", "v": "version", "a": "all", "q": "quiet",
}

var globals = flagKinds{
	"root": value, "log": value, "log-format": value, "log-level": value, "criu": value, "rootless": value, "cgroup-manager": value,
	"systemd-cgroup": boolean, "debug": boolean, "help": boolean, "version": boolean,
}

// command is a sub-command.
type command struct {
	flags flagKinds
	// leading: flags come before the first argument only; what follows is a
	// program's.
	leading bool
	// run handles it; nil: it is passed on.
	run func(*shim, *call) error
}

var creating = flagKinds{
	"bundle": value, "console-socket": value, "pid-file": value, "pidfd-socket": value, "no-pivot": boolean,
	"no-new-keyring": boolean, "preserve-fds": value, "no-subreaper": boolean,
}

func and(a flagKinds, b flagKinds) flagKinds {
	all := flagKinds{}
	for _, m := range []flagKinds{a, b} {
		maps.Copy(all, m)
	}
	return all
}

// commands returns those of runc 1.1 to 1.3 and crun (runc(8), crun(1)).
func commands() map[string]command {
	return map[string]command{
		"create": {flags: creating, run: (*shim).create},
		"run":    {flags: and(creating, flagKinds{"detach": boolean, "keep": boolean}), run: (*shim).create},
		"exec": {leading: true, run: (*shim).exec, flags: flagKinds{
			"process": value, "detach": boolean, "pid-file": value, "console-socket": value, "pidfd-socket": value, "tty": boolean,
			"user": value, "cwd": value, "env": repeated, "additional-gids": repeated, "preserve-fds": value, "ignore-paused": boolean,
			"no-new-privs": boolean, "no-subreaper": boolean,
		}},
		"update":   {flags: flagKinds{"resources": value}, run: (*shim).update},
		"delete":   {flags: flagKinds{"force": boolean}, run: (*shim).remove},
		"restore":  {run: (*shim).restore},
		"start":    {flags: flagKinds{}},
		"kill":     {flags: flagKinds{"all": boolean}},
		"state":    {flags: flagKinds{}},
		"pause":    {flags: flagKinds{}},
		"resume":   {flags: flagKinds{}},
		"ps":       {leading: true, flags: flagKinds{"format": value, "f": value}},
		"events":   {flags: flagKinds{"interval": value, "stats": boolean}},
		"list":     {flags: flagKinds{"format": value, "f": value, "quiet": boolean}},
		"spec":     {flags: flagKinds{"bundle": value, "rootless": boolean, "config": value}},
		"features": {flags: flagKinds{}},
		"checkpoint": {flags: flagKinds{
			"image-path": value, "work-path": value, "parent-path": value, "leave-running": boolean, "tcp-established": boolean,
			"tcp-skip-in-flight": boolean, "link-remap": boolean, "ext-unix-sk": boolean, "shell-job": boolean, "lazy-pages": boolean,
			"status-fd": value, "page-server": value, "file-locks": boolean, "pre-dump": boolean, "manage-cgroups-mode": value,
			"empty-ns": repeated, "auto-dedup": boolean,
		}},
		"help": {flags: flagKinds{}},

		// Hooks of our own.
		egressHook:  {flags: flagKinds{}, run: (*shim).setEgress},
		networkHook: {flags: flagKinds{}, leading: true, run: (*shim).setNetwork},
	}
}

// flags are what a command line sets, by long name.
type flags map[string][]string

func (f flags) last(name string) string {
	if all := f[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func (f flags) has(name string) bool { return f.last(name) != "" && f.last(name) != "false" }

// list returns the flags as arguments of a runtime, in the order of names.
func (f flags) list(kinds flagKinds, names ...string) []string {
	var all []string
	for _, name := range names {
		for _, v := range f[name] {
			switch {
			case kinds[name] != boolean:
				all = append(all, "--"+name+"="+v)
			case v == "true":
				all = append(all, "--"+name)
			}
		}
	}
	return all
}

// call is a command line that was understood.
type call struct {
	globals flags
	name    string // of the sub-command, "" if there is none
	command command
	flags   flags
	args    []string
}

// parseCall reads a command line, without the program's name. Also with an error
// it returns the global flags that were read, which say where to report it.
func parseCall(args []string) (*call, error) {
	c := &call{}
	var err error
	if c.globals, args, err = parseFlags(globals, args, true); err != nil {
		return c, err
	}
	if len(args) == 0 {
		return c, nil
	}
	c.name = args[0]
	known := false
	if c.command, known = commands()[c.name]; !known {
		return c, fault.Errorf(fault.Usage, "%.40q is no command that a sealed container can be given", c.name)
	}
	if c.name == "restore" {
		return c, nil
	}
	c.flags, c.args, err = parseFlags(c.command.flags, args[1:], c.command.leading)
	return c, err
}

// parseFlags reads flags as Go's package flag does, with one dash or two; unlike
// it, between arguments as well, unless they are to be leading.
func parseFlags(kinds flagKinds, args []string, leading bool) (f flags, rest []string, err error) {
	f = flags{}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return f, append(rest, args[i+1:]...), nil
		case len(a) < 2 || a[0] != '-':
			if leading {
				return f, append(rest, args[i:]...), nil
			}
			rest = append(rest, a)
			continue
		}
		name, v, given := strings.Cut(strings.TrimPrefix(a[1:], "-"), "=")
		name, err := longName(kinds, name)
		if err != nil {
			return f, nil, err
		}
		switch {
		case kinds[name] == boolean:
			if v, err = truth(name, v, given); err != nil {
				return f, nil, err
			}
		case !given && i+1 == len(args):
			return f, nil, fault.Errorf(fault.Usage, "--%s needs a value", name)
		case !given:
			i++
			v = args[i]
		}
		if kinds[name] == repeated {
			f[name] = append(f[name], v)
		} else {
			f[name] = []string{v}
		}
	}
	return f, rest, nil
}

func longName(kinds flagKinds, name string) (string, error) {
	if _, ok := kinds[name]; ok {
		return name, nil
	}
	if long := synonyms[name]; kinds[long] != 0 {
		return long, nil
	}
	return "", fault.Errorf(fault.Usage, "the flag %.40q is not known here, so that what it would do cannot be judged", name)
}

func truth(name, v string, given bool) (string, error) {
	if !given {
		return "true", nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return "", fault.Errorf(fault.Usage, "--%s is true or false, not %.40q", name, v)
	}
	return strconv.FormatBool(b), nil
}

// id returns the container that the call is about, which must be all it names.
func (c *call) id(more int) (string, error) {
	if len(c.args) == 0 || len(c.args) > 1+more {
		return "", fault.Errorf(fault.Usage, "%s: the ID of a container is needed", c.name)
	}
	return c.args[0], nil
}

// globalList returns the global flags for a runtime, with the folder of state
// named.
func (c *call) globalList() []string {
	names := []string{"log", "log-format", "log-level", "criu", "rootless", "cgroup-manager", "systemd-cgroup", "debug"}
	return slices.Concat([]string{"--root=" + c.state()}, c.globals.list(globals, names...))
}
