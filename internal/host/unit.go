//go:build linux

package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// unitFolders are where systemd looks for units, the first first.
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unit is one section's settings of a systemd unit with its drop-ins, in order.
type unit struct {
	path     string // of the unit itself
	settings []setting
}

type setting struct{ section, key, value string }

// unit reads a unit and its drop-ins; nil if the host has none. A unit that is a
// link to nothing is masked: its path is there and it has no settings.
func (h Host) unit(name string) (*unit, error) {
	u := new(unit)
	for _, dir := range unitFolders {
		b, err := h.read(filepath.Join(dir, name))
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
		u.path = filepath.Join(dir, name)
		u.settings = parseUnit(b)
		break
	}
	if u.path == "" {
		return nil, nil
	}
	dropins := map[string]string{} // an earlier folder's hides a later one's
	for _, dir := range unitFolders {
		entries, err := os.ReadDir(h.at(filepath.Join(dir, name+".d")))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fault.As(fault.Unavailable, err)
		}
		for _, e := range entries {
			if _, ok := dropins[e.Name()]; !ok && strings.HasSuffix(e.Name(), ".conf") {
				dropins[e.Name()] = filepath.Join(dir, name+".d", e.Name())
			}
		}
	}
	for _, file := range sorted(dropins) {
		b, err := h.read(dropins[file])
		if err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
		u.settings = append(u.settings, parseUnit(b)...)
	}
	return u, nil
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// parseUnit reads systemd.syntax(7): sections, settings, lines that go on after a
// backslash, comments.
func parseUnit(b []byte) []setting {
	var all []setting
	section, line := "", ""
	for part := range strings.SplitSeq(string(b), "\n") {
		part = strings.TrimRight(part, " \t\r")
		if t := strings.TrimSpace(part); strings.HasPrefix(t, "#") || strings.HasPrefix(t, ";") {
			continue // also between the parts of a line
		}
		if rest, more := strings.CutSuffix(part, `\`); more {
			line += rest + " "
			continue
		}
		text := strings.TrimSpace(line + part)
		line = ""
		if s, ok := strings.CutPrefix(text, "["); ok {
			section = strings.TrimSuffix(s, "]")
			continue
		}
		if key, value, ok := strings.Cut(text, "="); ok {
			all = append(all, setting{section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return all
}

// values returns what a setting that may be given more than once holds; an empty
// value takes back those before it.
func (u *unit) values(section, key string) []string {
	var all []string
	for _, s := range u.settings {
		if s.section != section || s.key != key {
			continue
		}
		if s.value == "" {
			all = nil
			continue
		}
		all = append(all, s.value)
	}
	return all
}

// args returns the words of a unit's command line, variables of its environment
// files and its own put in as systemd does: $NAME as words, ${NAME} as it is.
func (h Host) args(u *unit) ([]string, error) {
	lines := u.values("Service", "ExecStart")
	if len(lines) != 1 {
		return nil, fault.Errorf(fault.Conflict, "%s has %d commands to start", u.path, len(lines))
	}
	env := map[string]string{}
	for _, v := range u.values("Service", "Environment") {
		for _, w := range words(v) {
			if key, value, ok := strings.Cut(w, "="); ok {
				env[key] = value
			}
		}
	}
	for _, file := range u.values("Service", "EnvironmentFile") {
		file, optional := strings.CutPrefix(file, "-")
		b, err := h.read(file)
		if absent(err) && optional {
			continue
		}
		if err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
		for _, s := range parseUnit(b) {
			env[s.key] = strings.Join(words(s.value), " ")
			if w := words(s.value); len(w) == 1 {
				env[s.key] = w[0]
			}
		}
	}
	var all []string
	for _, w := range words(strings.TrimLeft(lines[0], "@-:+!")) {
		if v, ok := strings.CutPrefix(w, "$"); ok && !strings.HasPrefix(v, "{") {
			all = append(all, words(env[v])...)
			continue
		}
		all = append(all, os.Expand(w, func(key string) string { return env[key] }))
	}
	return all, nil
}

// words splits text at spaces that are not within quotes.
func words(text string) []string {
	var all []string
	var word strings.Builder
	var quoted rune
	in := false
	for _, r := range text {
		switch {
		case quoted != 0 && r == quoted:
			quoted = 0
		case quoted != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quoted, in = r, true
		case r == ' ' || r == '\t':
			if in {
				all = append(all, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if in {
		all = append(all, word.String())
	}
	return all
}

// flag returns the values of a flag of the engine's command line, by its long and
// short name.
func flag(args []string, long, short string) []string {
	var all []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		value, ok := strings.CutPrefix(a, "--"+long+"=")
		switch {
		case ok:
			all = append(all, value)
		case a == "--"+long, short != "" && a == "-"+short:
			if i+1 < len(args) {
				i++
				all = append(all, args[i])
			}
		case short != "" && len(a) > 2 && strings.HasPrefix(a, "-"+short):
			all = append(all, strings.TrimPrefix(a[2:], "="))
		}
	}
	return all
}
