package engine

import (
	"net/url"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

// The versions of the engine's API that are understood: every body and query
// that they have is in this package's tables.
const (
	oldestMinor = 24
	newestMinor = 55
)

const (
	maxPath  = 1024 // bytes
	maxQuery = 16 << 10
)

// target is what a request line names, decoded and clean.
type target struct {
	version  string   // "v1.41", "" if the request named none
	segments []string // of the path below the version
	query    string   // as it came
}

// path returns the path as it is sent on: made of what was judged.
func (t target) path() string {
	p := "/" + strings.Join(t.segments, "/")
	if t.version != "" {
		p = "/" + t.version + p
	}
	return p
}

// parseTarget reads the target of a request line (RFC 9112 section 3.2.1:
// origin-form only). There is one spelling for each path: what is escaped and
// need not be, an escaped slash or percent sign, empty and dot segments, a slash
// at the end, and every character that no name of an engine has are refused.
func parseTarget(uri string) (target, error) {
	raw, query, _ := strings.Cut(uri, "?")
	switch {
	case len(raw) > maxPath || len(query) > maxQuery:
		return target{}, fault.Errorf(fault.Invalid, "the request's path or query is too long")
	case !strings.HasPrefix(raw, "/") || strings.Contains(query, "#"):
		return target{}, badPath(raw)
	}
	decoded, err := decodePath(raw)
	if err != nil {
		return target{}, err
	}
	t := target{segments: strings.Split(decoded[1:], "/"), query: query}
	for _, s := range t.segments {
		if s == "" || s == "." || s == ".." {
			return target{}, badPath(raw)
		}
	}
	if looksLikeVersion(t.segments[0]) {
		if t.version, err = checkVersion(t.segments[0]); err != nil {
			return target{}, err
		}
		t.segments = t.segments[1:]
	}
	if len(t.segments) == 0 {
		return target{}, badPath(raw)
	}
	return t, nil
}

// decodePath undoes the escapes of ":", "@" and "+", which some clients write in
// names of images, and takes no others.
func decodePath(raw string) (string, error) {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return "", badPath(raw)
	}
	for i := range len(decoded) {
		if !pathByte(decoded[i]) {
			return "", badPath(raw)
		}
	}
	if escapes := strings.Count(raw, "%"); escapes > 0 {
		upper := strings.ToUpper(raw)
		if strings.Count(upper, "%3A")+strings.Count(upper, "%40")+strings.Count(upper, "%2B") != escapes {
			return "", badPath(raw)
		}
	}
	return decoded, nil
}

func pathByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/_.-:@+", c) >= 0
}

// looksLikeVersion reports whether an engine could take the first segment for a
// version: "v" and digits. No route begins with that.
func looksLikeVersion(s string) bool {
	return len(s) > 1 && (s[0] == 'v' || s[0] == 'V') && s[1] >= '0' && s[1] <= '9'
}

func checkVersion(s string) (string, error) {
	minor, ok := strings.CutPrefix(s, "v1.")
	n, err := strconv.Atoi(minor)
	if !ok || err != nil || "v1."+strconv.Itoa(n) != s {
		return "", fault.Errorf(fault.Invalid, "%q is not a version of the engine's API", s)
	}
	if n < oldestMinor || n > newestMinor {
		err := fault.Errorf(fault.Invalid, "version 1.%d of the engine's API is not served, only 1.%d to 1.%d", n, oldestMinor, newestMinor)
		return "", fault.Hint(err, "DOCKER_API_VERSION=1.41")
	}
	return s, nil
}

func badPath(raw string) error {
	if len(raw) > 80 {
		raw = raw[:80] + "…"
	}
	return fault.Errorf(fault.Denied, "the path %q is not written plainly", raw)
}
