package engine

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// query is what was parsed of a query; handlers change it before it goes on.
type query struct{ url.Values }

// route is one line of the table: what may be asked for, and who answers.
type route struct {
	method   string
	pattern  string // "{x}" is one segment, "{x...}" one or more
	parts    []string
	query    params
	do       func(*request) error
	open     bool // needs no team
	body     bool // has a body, which do reads
	upgrades bool // becomes a stream
}

// match is what a pattern's variable stands for.
type match struct{ name string }

// find returns the route for a method and path. There is none for anything that
// nobody thought about.
func (p *Proxy) find(method string, segments []string) (*route, match, error) {
	known := false
	for i := range p.routes {
		r := &p.routes[i]
		name, ok := fits(r.parts, segments)
		if !ok {
			continue
		}
		known = true
		if r.method == method || r.method == "" {
			return r, match{name}, nil
		}
	}
	path := clip(strings.Join(segments, "/"))
	if known {
		return nil, match{}, fault.Errorf(fault.Denied, "%s is no method of /%s", clip(method), path)
	}
	return nil, match{}, fault.Errorf(fault.Denied, "/%s is not served here", path)
}

// fits reports whether segments are of the pattern, and what its variable is.
func fits(pattern, segments []string) (name string, ok bool) {
	at := slices.IndexFunc(pattern, func(s string) bool { return strings.HasPrefix(s, "{") })
	if at < 0 {
		return "", slices.Equal(pattern, segments)
	}
	after := pattern[at+1:]
	n := len(segments) - at - len(after)
	if n < 1 || n > 1 && !strings.HasSuffix(pattern[at], "...}") {
		return "", false
	}
	if !slices.Equal(pattern[:at], segments[:at]) || !slices.Equal(after, segments[at+n:]) {
		return "", false
	}
	return strings.Join(segments[at:at+n], "/"), true
}

// refused is a route that is there to say why it is not.
func refused(pattern, hint, format string, args ...any) route {
	return route{pattern: pattern, open: true, body: true, upgrades: true, query: anyQuery, do: func(*request) error {
		err := fault.Errorf(fault.Denied, format, args...)
		if hint == "" {
			return err
		}
		return fault.Hint(err, "%s", hint)
	}}
}

// anyQuery stands for a query that nobody reads.
const anyQuery params = "\x00"

// table returns every route.
func table() []route {
	all := slices.Concat(systemRoutes(), containerRoutes(), execRoutes(), imageRoutes(), buildRoutes(), volumeRoutes(), networkRoutes(), refusedRoutes())
	for i := range all {
		all[i].parts = strings.Split(all[i].pattern, "/")
	}
	return all
}

// refusedRoutes are what engines have and teams do not, each with a reason.
func refusedRoutes() []route {
	const buildkit = "DOCKER_BUILDKIT=0 docker build …"
	all := []route{
		refused("session", buildkit, "BuildKit sessions are not carried: nobody can see what goes through them"),
		refused("grpc", buildkit, "BuildKit is not carried: nobody can see what goes through it"),
		refused("containers/{name}/attach/ws", "docker attach", "streams over WebSocket are not carried"),
		refused("containers/{name}/checkpoints", "", "checkpoints hold a container's memory and are not made here"),
		refused("containers/{name}/checkpoints/{x}", "", "checkpoints hold a container's memory and are not made here"),
		refused("containers/{name}/copy", "docker cp", "this way of copying is older than version 1.24"),
	}
	for _, what := range []string{"swarm", "nodes", "services", "tasks", "secrets", "configs", "plugins"} {
		for _, pattern := range []string{what, what + "/{x...}"} {
			all = append(all, refused(pattern, "", "%s are the host's own affair", what))
		}
	}
	return all
}

func get(pattern string, q params, do func(*request) error) route {
	return route{method: http.MethodGet, pattern: pattern, query: q, do: do}
}

func post(pattern string, q params, do func(*request) error) route {
	return route{method: http.MethodPost, pattern: pattern, query: q, do: do}
}

func del(pattern string, q params, do func(*request) error) route {
	return route{method: http.MethodDelete, pattern: pattern, query: q, do: do}
}

// withBody says that the route reads a body.
func (r route) withBody() route { r.body = true; return r }

// asStream says that the route's connection becomes a stream.
func (r route) asStream() route { r.upgrades = true; return r }

// withoutTeam says that the route needs no team.
func (r route) withoutTeam() route { r.open = true; return r }
