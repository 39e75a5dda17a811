package seal

import (
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// overlayOptions are what a mounted overlay says about itself.
type overlayOptions struct {
	lowers       []string // folders, top first, as they were named when it was mounted
	upper, work  string
	kept         []string // options that an overlay of the same folders needs too
	readOnly     bool
	volatileWork bool
}

// Options of a mounted overlay (mount(8), Linux Documentation/filesystems/overlayfs):
// carried are those that change what is read from or written to its folders,
// dropped those that mean nothing for another mount.
var (
	carried = map[string]bool{
		"metacopy": true, "redirect_dir": true, "userxattr": true, "volatile": true, "xino": true, "uuid": true, "verity": true,
	}
	dropped = map[string]bool{
		"rw": true, "index": true, "nfs_export": true, "default_permissions": true, "seclabel": true, "relatime": true, "noatime": true,
		"lazytime": true, "inode32": true, "inode64": true, "override_creds": true, "nooverride_creds": true, "fsync": true,
	}
)

// parseOverlay reads the super options of an overlay in mountinfo
// (proc_pid_mountinfo(5)). An option that is not known is refused: it may be what
// keeps the engine's overlay apart from ours.
func parseOverlay(options string) (o overlayOptions, err error) {
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		if value, err = unescapeOctal(value); err != nil {
			return o, err
		}
		switch {
		case key == "lowerdir":
			o.lowers, err = splitLayers(value)
		case key == "lowerdir+":
			o.lowers = append(o.lowers, value)
		case key == "upperdir":
			o.upper = value
		case key == "workdir":
			o.work = value
		case key == "ro":
			o.readOnly = true
		case carried[key]:
			o.kept = append(o.kept, option)
			o.volatileWork = o.volatileWork || key == "volatile"
		case dropped[key]:
		default:
			err = fault.Errorf(fault.Denied, "the container's overlay has the option %.80q, which is not known", option)
		}
		if err != nil {
			return o, err
		}
	}
	if len(o.lowers) == 0 {
		return o, fault.Errorf(fault.Denied, "the container's overlay names no layers")
	}
	if slices.Contains(o.lowers, "") {
		return o, fault.Errorf(fault.Denied, "the container's overlay has layers of data only, which cannot be mapped")
	}
	return o, nil
}

// splitLayers splits a lowerdir at its colons; "\:" is a colon of a name, and a
// backslash before any other character stands for that.
func splitLayers(s string) ([]string, error) {
	var all []string
	var one strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 == len(s):
			return nil, fault.Errorf(fault.Denied, "the container's overlay: %.80q ends within a name", s)
		case s[i] == '\\':
			i++
			one.WriteByte(s[i])
		case s[i] == ':':
			all = append(all, one.String())
			one.Reset()
		default:
			one.WriteByte(s[i])
		}
	}
	return append(all, one.String()), nil
}

// unescapeOctal undoes what the kernel does to blanks, commas and backslashes in
// mountinfo: "\040".
func unescapeOctal(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 >= len(s) {
			return "", fault.Errorf(fault.Denied, "the container's overlay: %.80q cannot be read", s)
		}
		n := 0
		for _, d := range s[i+1 : i+4] {
			if d < '0' || d > '7' {
				return "", fault.Errorf(fault.Denied, "the container's overlay: %.80q cannot be read", s)
			}
			n = n<<3 | int(d-'0')
		}
		if n > 0xff {
			return "", fault.Errorf(fault.Denied, "the container's overlay: %.80q cannot be read", s)
		}
		b.WriteByte(byte(n))
		i += 3
	}
	return b.String(), nil
}
