package trust

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// The top-level roles (TUF 1.0.34, 2.1).
const (
	RoleRoot      = "root"
	RoleTargets   = "targets"
	RoleSnapshot  = "snapshot"
	RoleTimestamp = "timestamp"
)

var topLevel = []string{RoleRoot, RoleTargets, RoleSnapshot, RoleTimestamp}

const (
	specVersion = "1.0.34"
	gunField    = "x-plimsoll-gun"
	timeForm    = "2006-01-02T15:04:05Z"
	maxVersion  = 1 << 53 // what every reader of JSON holds exactly
	maxTargets  = 1 << 17 // in one role
	maxRoles    = 1 << 14 // in one snapshot or one delegation
	maxRoleName = 230     // bytes of a role's file's name, so that one with a version is no longer than 255
	maxRootRole = 8       // roles of one root: the four, and those of other specifications
	maxHash     = 1 << 10 // bytes of a hash that is not known here
	maxPath     = 512     // bytes of a target's path or pattern
)

var specForm = regexp.MustCompile(`^1(\.[0-9]{1,4}){1,2}$`)

// header is what every signed part begins with (4.3).
type header struct {
	Type    string
	Version int64
	Expires time.Time
	GUN     ref.GUN // of root and targets; "" if the field is absent
	spec    string
	rest    map[string]any
}

func (h *header) head() *header { return h }

func decodeHeader(o *object, role string) header {
	h := header{Type: o.text("_type"), spec: o.text("spec_version")}
	if h.Type != role {
		o.fail("_type", "another role's")
	}
	if !specForm.MatchString(h.spec) {
		o.fail("spec_version", "not 1.x")
	}
	h.Version = o.integer("version", 1, maxVersion)
	h.Expires = decodeTime(o, "expires")
	if o.has(gunField) {
		if h.GUN = ref.GUN(o.text(gunField)); h.GUN == "" {
			o.fail(gunField, "empty")
		}
	}
	return h
}

func decodeTime(o *object, name string) time.Time {
	text := o.text(name)
	t, err := time.Parse(timeForm, text)
	if err != nil || t.Format(timeForm) != text {
		o.fail(name, "not a time as YYYY-MM-DDTHH:MM:SSZ")
	}
	return t
}

func (h *header) encode(fields map[string]any) map[string]any {
	fields["_type"], fields["version"] = h.Type, h.Version
	fields["spec_version"] = specVersion
	if h.spec != "" {
		fields["spec_version"] = h.spec
	}
	fields["expires"] = h.Expires.UTC().Format(timeForm)
	if h.GUN != "" {
		fields[gunField] = string(h.GUN)
	}
	return withRest(h.rest, fields)
}

// root is the signed part of root metadata (4.3).
type root struct {
	header
	Consistent bool // files are named by their version (6.2)
	silent     bool // nothing is said about that, which means no
	Keys       keys
	Roles      map[string]keyRole
}

func decodeRoot(o *object) *root {
	r := &root{header: decodeHeader(o, RoleRoot), Keys: decodeKeys(o.child("keys"))}
	if r.silent = !o.has("consistent_snapshot"); !r.silent {
		r.Consistent = o.flag("consistent_snapshot")
	}
	roles := o.child("roles")
	r.Roles = map[string]keyRole{}
	roles.each(maxRootRole, func(name string, v any) {
		role := newObject(v, "roles."+name, o.err)
		k := decodeKeyRole(role)
		k.rest = role.rest()
		r.Roles[name] = k
	})
	for _, name := range topLevel {
		if _, ok := r.Roles[name]; !ok {
			roles.fail(name, "missing")
		}
	}
	r.rest = o.rest()
	return r
}

func (r *root) encode() map[string]any {
	roles := make(map[string]any, len(r.Roles))
	for name, k := range r.Roles {
		roles[name] = k.encode()
	}
	fields := map[string]any{"keys": r.Keys.encode(), "roles": roles}
	if !r.silent {
		fields["consistent_snapshot"] = r.Consistent
	}
	return r.header.encode(fields)
}

// metaFile is what snapshot and timestamp say about another role's file (4.4).
// Length is -1 and Hashes nil where nothing is said.
type metaFile struct {
	Version int64
	Length  int64
	Hashes  hashes
	rest    map[string]any
}

func decodeMeta(o *object, limit int) map[string]metaFile {
	all := map[string]metaFile{}
	o.each(limit, func(name string, v any) {
		role, ok := roleOfMeta(name)
		if !ok {
			o.fail(name, "not the name of a metadata file")
			return
		}
		f := newObject(v, join(o.at, name), o.err)
		m := metaFile{Version: f.integer("version", 1, maxVersion), Length: -1}
		if f.has("length") {
			m.Length = f.integer("length", 0, maxVersion)
		}
		if f.has("hashes") {
			m.Hashes = decodeHashes(f.child("hashes"))
		}
		m.rest = f.rest()
		all[role] = m
	})
	return all
}

func encodeMeta(all map[string]metaFile) map[string]any {
	m := make(map[string]any, len(all))
	for role, f := range all {
		fields := map[string]any{"version": f.Version}
		if f.Length >= 0 {
			fields["length"] = f.Length
		}
		if f.Hashes != nil {
			fields["hashes"] = f.Hashes.encode()
		}
		m[role+".json"] = withRest(f.rest, fields)
	}
	return m
}

// snapshot is the signed part of snapshot metadata: every targets role's
// version (4.4).
type snapshot struct {
	header
	Meta map[string]metaFile // by role, without ".json"
}

func decodeSnapshot(o *object) *snapshot {
	s := &snapshot{header: decodeHeader(o, RoleSnapshot), Meta: decodeMeta(o.child("meta"), maxRoles)}
	if _, ok := s.Meta[RoleTargets]; !ok {
		o.fail("meta", "targets.json is missing")
	}
	s.rest = o.rest()
	return s
}

func (s *snapshot) encode() map[string]any {
	return s.header.encode(map[string]any{"meta": encodeMeta(s.Meta)})
}

// timestamp is the signed part of timestamp metadata: the snapshot's version
// (4.6).
type timestamp struct {
	header
	Snapshot metaFile
}

func decodeTimestamp(o *object) *timestamp {
	t := &timestamp{header: decodeHeader(o, RoleTimestamp)}
	var ok bool
	if t.Snapshot, ok = decodeMeta(o.child("meta"), 1)[RoleSnapshot]; !ok {
		o.fail("meta", "snapshot.json is missing")
	}
	t.rest = o.rest()
	return t
}

func (t *timestamp) encode() map[string]any {
	return t.header.encode(map[string]any{"meta": encodeMeta(map[string]metaFile{RoleSnapshot: t.Snapshot})})
}

// roleOfMeta returns the role whose file "<role>.json" is.
func roleOfMeta(name string) (string, bool) {
	role := name
	if n := len(name) - len(".json"); n > 0 && name[n:] == ".json" {
		role = name[:n]
	}
	return role, role != name && validRole(role)
}

// validRole reports whether name can be a role's. Slashes and dots are allowed,
// as TUF does: the name is escaped before it becomes part of a file's.
func validRole(name string) bool {
	return name != "" && len(stateName(name)) <= maxRoleName && printable(name)
}

func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// fileName returns the name of role's file of the given version, or the name
// without version if version is 0 (4.1: consistent snapshots, PATHS).
func fileName(role string, version int64) string {
	name := escape(role) + ".json"
	if version == 0 {
		return name
	}
	return strconv.FormatInt(version, 10) + "." + name
}

const (
	lowerCase  = "abcdefghijklmnopqrstuvwxyz0123456789-._~"
	unreserved = lowerCase + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// escape writes s as one element of a URL's path: percent-encoded, all but the
// characters that RFC 3986, section 2.3 calls unreserved.
func escape(s string) string { return percent(s, unreserved) }

// percent writes every byte of s that is not plain in hex.
func percent(s, plain string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(plain, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// hashes are digests by algorithm ("sha256", "sha512"), in hex. Those by other
// algorithms are kept and prove nothing.
type hashes map[string]string

func decodeHashes(o *object) hashes {
	h := hashes{}
	o.each(8, func(name string, v any) {
		s, ok := v.(string)
		if !ok || s == "" || len(s) > maxHash {
			o.fail(name, "not a hash")
		}
		h[name] = s
	})
	for _, a := range algorithms {
		if s, ok := h[a.name]; ok && !isHash(s, a.size) {
			o.fail(a.name, "not a hash in hex")
		}
	}
	return h
}

func (h hashes) encode() map[string]any {
	m := make(map[string]any, len(h))
	for name, v := range h {
		m[name] = v
	}
	return m
}

// check compares b with what f says of it.
func (f metaFile) check(b []byte) error {
	if f.Length >= 0 && f.Length != int64(len(b)) {
		return fault.Errorf(fault.Untrusted, "%d bytes long, %d were promised", len(b), f.Length)
	}
	return f.Hashes.check(b)
}
