package seal

import (
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// Identity is who a process is inside of its container.
type Identity struct {
	UID, GID uint32
	Groups   []uint32 // supplementary
	Home     string
}

const maxAccounts = 1 << 20 // bytes of an image's passwd and group files that are read

// Identify returns who spec means, "user", "user:group", by name or number,
// given the image's files passwd and group (passwd(5), group(5)); either may be
// empty. An empty spec is root. A name that the files do not have is NotFound.
func Identify(spec string, passwd, group []byte) (Identity, error) {
	user, groupSpec, hasGroup := strings.Cut(spec, ":")
	if user == "" {
		user = "0"
	}
	id := Identity{Home: "/"}
	account, known := find(passwd, user, 7)
	switch n, err := number(user); {
	case known:
		uid, uidErr := number(account[2])
		gid, gidErr := number(account[3])
		if uidErr != nil || gidErr != nil {
			return Identity{}, fault.Errorf(fault.Invalid, "user %q: the image's passwd gives the IDs %q and %q; a container has 0 to %d", user, account[2], account[3], idmap.SlotSize-1)
		}
		id.UID, id.GID = uid, gid
		if strings.HasPrefix(account[5], "/") {
			id.Home = account[5]
		}
	case err == nil:
		id.UID = n
	default:
		return Identity{}, fault.Errorf(fault.NotFound, "user %q: no such name in the image, and no ID from 0 to %d", user, idmap.SlotSize-1)
	}
	if hasGroup {
		return id, id.setGroup(groupSpec, group)
	}
	if known {
		id.Groups = memberships(account[0], id.GID, group)
	}
	return id, nil
}

func (id *Identity) setGroup(spec string, group []byte) error {
	if g, ok := find(group, spec, 4); ok {
		spec = g[2]
	}
	n, err := number(spec)
	if err != nil {
		return fault.Errorf(fault.NotFound, "group %q: no such name in the image, and no ID from 0 to %d", spec, idmap.SlotSize-1)
	}
	id.GID = n
	return nil
}

// find returns the fields of the first line whose name, or failing that whose
// number, is key.
func find(file []byte, key string, fields int) ([]string, bool) {
	for _, column := range []int{0, 2} {
		for line := range strings.SplitSeq(string(file), "\n") {
			if f := strings.Split(line, ":"); len(f) >= fields && f[column] == key {
				return f, true
			}
		}
		if _, err := number(key); err != nil {
			break // a name is no number
		}
	}
	return nil, false
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint32(n), err
}

func memberships(name string, primary uint32, group []byte) []uint32 {
	var all []uint32
	for line := range strings.SplitSeq(string(group), "\n") {
		f := strings.Split(line, ":")
		if len(f) < 4 || !slices.Contains(strings.Split(strings.TrimSpace(f[3]), ","), name) {
			continue
		}
		if n, err := number(f[2]); err == nil && n != primary && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}
