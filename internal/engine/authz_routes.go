package engine

import (
	"net/url"
	"path"
	"regexp"
)

// apiVersion is what may stand before every route: "/v1.41".
var apiVersion = regexp.MustCompile(`^/v[0-9]{1,2}\.[0-9]{1,3}(/.*)$`)

// harmlessRoutes are what anybody who reaches the engine's own socket may read
// without having been judged: what is there, not what is in it. No stream, no
// file, no output of a container is among them. An image's name has slashes.
var harmlessRoutes = []*regexp.Regexp{
	regexp.MustCompile(`^/(_ping|version|info|networks|volumes|plugins)$`),
	regexp.MustCompile(`^/(containers|images)/json$`),
	regexp.MustCompile(`^/(containers|exec)/[A-Za-z0-9][A-Za-z0-9_.-]*/json$`),
	regexp.MustCompile(`^/images/[A-Za-z0-9][A-Za-z0-9_.:@/-]*/json$`),
	regexp.MustCompile(`^/(networks|volumes)/[A-Za-z0-9][A-Za-z0-9_.-]*$`),
}

// harmless reports whether a request that nobody judged may be served. The URI is
// decoded as the engine does; a path that is not clean is refused, because the
// engine would redirect it or take it for another route.
func harmless(method, uri string) bool {
	if method != "GET" && method != "HEAD" {
		return false
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil || u.Opaque != "" || path.Clean(u.Path) != u.Path {
		return false
	}
	route := u.Path
	if m := apiVersion.FindStringSubmatch(route); m != nil {
		route = m[1]
	}
	for _, r := range harmlessRoutes {
		if r.MatchString(route) {
			return true
		}
	}
	return false
}
