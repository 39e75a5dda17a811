package engine

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const buildParams params = "t* dockerfile extrahosts* remote q nocache cachefrom pull rm forcerm memory memswap cpushares cpusetcpus cpusetmems cpuperiod cpuquota " +
	"buildargs shmsize squash labels networkmode platform target outputs version ulimits securityopt cgroupparent isolation session buildid"

func buildRoutes() []route {
	return []route{
		post("build", buildParams, (*request).build).withBody(),
		post("build/cancel", "id", func(q *request) error { return denied("BuildKit is not carried") }),
		post("build/prune", "keep-storage all filters reserved-space max-used-space min-free-space", func(q *request) error {
			writeJSON(q.w, http.StatusOK, map[string]any{"CachesDeleted": nil, "SpaceReclaimed": 0})
			return nil
		}),
	}
}

// build runs the classic builder. Its steps are containers that nobody creates
// through the proxy: the guard knows them by the cgroup parent that the build is
// given here.
func (q *request) build() error {
	if err := q.admit(ActionBuild); err != nil {
		return err
	}
	query, err := q.buildQuery()
	if err != nil {
		return err
	}
	names, err := q.buildNames(query)
	if err != nil {
		return err
	}
	recipe := query.Get("dockerfile")
	if recipe == "" {
		recipe = "Dockerfile"
	}
	if !filepath.IsLocal(recipe) {
		return denied("the Dockerfile %q is not in the build's context", clip(recipe))
	}
	args, err := buildArgs(query.Get("buildargs"))
	if err != nil {
		return err
	}
	if err := q.allow("build", "build %.200q", names); err != nil {
		return err
	}
	parent, done, err := q.p.Guard.Building(q.ctx(), Build{Team: q.team, Caller: q.caller})
	if err != nil {
		return err
	}
	defer done()
	query.Set("cgroupparent", parent)
	links := map[string]bool{}
	body := retar(q.r.Body, func(h *tar.Header, r io.Reader) (io.Reader, error) {
		isRecipe, err := placed(h, recipe, links)
		if err != nil || !isRecipe {
			return r, err
		}
		data, err := wholeEntry(h, r, maxRecipe)
		if err != nil {
			return nil, err
		}
		data, err = q.judgeRecipe(data, args)
		h.Size = int64(len(data))
		return bytes.NewReader(data), err
	})
	defer body.Close()
	err = q.making(outgoing{method: http.MethodPost, path: "build", query: query, body: body, length: -1, kind: "application/x-tar", registry: true}, names)
	if why := body.err(); why != nil && !q.answered {
		return why
	}
	return err
}

// buildQuery judges a build's parameters.
func (q *request) buildQuery() (url.Values, error) {
	query := q.query.Values
	if v := query.Get("version"); v != "" && v != "1" || query.Get("session") != "" {
		return nil, fault.Hint(denied("BuildKit is not carried: nobody can see what goes through it"), "DOCKER_BUILDKIT=0 docker build …")
	}
	if truth(query, "pull") {
		return nil, fault.Hint(denied("a build does not pull: what it stands on is judged first"), "docker pull IMAGE, then docker build without --pull")
	}
	if i := query.Get("isolation"); i != "" && i != "default" {
		return nil, denied("the isolation %q may not be asked for", clip(i))
	}
	n := query.Get("networkmode")
	if !slices.Contains([]string{"", "default", "none", "bridge"}, n) || n == "bridge" && q.profile.Network.Mode != "bridge" {
		return nil, denied("the network %q may not be used by a build", clip(n))
	}
	if n != "none" && q.profile.Network.Mode == "bridge" {
		id, err := q.teamNetwork()
		if err != nil {
			return nil, err
		}
		n = id
	} else {
		n = "none"
	}
	query.Set("networkmode", n)
	query.Del("isolation")
	query.Del("version")
	if err := only(query, "remote", "outputs", "securityopt", "cgroupparent", "session", "buildid", "squash", "ulimits", "pull"); err != nil {
		return nil, err
	}
	if reservedLabel.MatchString(query.Get("labels")) {
		return nil, denied("labels that begin with %s are Plimsoll's", labelPrefix)
	}
	if err := q.buildCache(query.Get("cachefrom")); err != nil {
		return nil, err
	}
	return query, q.buildLimits(query)
}

// buildCache judges the images whose layers a build may take over.
func (q *request) buildCache(list string) error {
	if list == "" || list == "null" {
		return nil
	}
	var names []string
	if err := json.Unmarshal([]byte(list), &names); err != nil {
		return fault.Errorf(fault.Invalid, "cachefrom: %w", err)
	}
	for _, name := range names {
		if _, err := q.image(name); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		} else if err != nil {
			return denied("cachefrom: the team has no image %q", clip(name))
		}
	}
	return nil
}

// buildLimits gives a build's steps the profile's limits.
func (q *request) buildLimits(query url.Values) error {
	r := container.Resources{CpusetCpus: query.Get("cpusetcpus"), CpusetMems: query.Get("cpusetmems")}
	var shm int64
	for name, into := range map[string]*int64{
		"memory": &r.Memory, "memswap": &r.MemorySwap, "cpushares": &r.CPUShares, "cpuperiod": &r.CPUPeriod, "cpuquota": &r.CPUQuota, "shmsize": &shm,
	} {
		n, err := number(query, name)
		if err != nil {
			return err
		}
		*into = n
	}
	if r.CPUQuota == 0 {
		if r.CPUPeriod == 0 {
			r.CPUPeriod = defaultPeriod
		}
		r.CPUQuota = int64(q.profile.CPUs * float64(r.CPUPeriod))
	}
	if shm < 0 || shm > q.profile.Memory {
		return above("shmsize", "%d bytes", q.profile.Memory)
	}
	if err := limit(&r, q.profile); err != nil {
		return err
	}
	for name, n := range map[string]int64{"memory": r.Memory, "memswap": r.MemorySwap, "cpuperiod": r.CPUPeriod, "cpuquota": r.CPUQuota} {
		query.Set(name, strconv.FormatInt(n, 10))
	}
	return nil
}

// buildNames claims the names that the image will have. They are given after the
// build, when the image is the team's.
func (q *request) buildNames(query url.Values) ([]string, error) {
	var names []string
	for _, t := range query["t"] {
		repo, tag := cutTag(t)
		name, err := q.claimName(repo, tag)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	query.Del("t")
	return names, nil
}

func buildArgs(s string) (map[string]string, error) {
	args := map[string]string{}
	if s == "" {
		return args, nil
	}
	var given map[string]*string
	if err := json.Unmarshal([]byte(s), &given); err != nil {
		return nil, fault.Errorf(fault.Invalid, "buildargs: %w", err)
	}
	for name, v := range given {
		if v != nil {
			args[name] = *v
		}
	}
	return args, nil
}

// placed reports whether an entry of a build's context is its Dockerfile, in any
// letter case, since engines fall back on "dockerfile". An entry behind a link of
// the archive could become one unseen: it is refused.
func placed(h *tar.Header, recipe string, links map[string]bool) (bool, error) {
	name := cleanEntry(h.Name)
	for i := range len(name) {
		if name[i] == '/' && links[name[:i]] {
			return false, denied("context: %q lies behind a link of the archive", clip(name))
		}
	}
	isLink := h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink
	want := strings.ToLower(cleanEntry(recipe))
	switch lower := strings.ToLower(name); {
	case lower == want:
		return true, nil
	case isLink && strings.HasPrefix(want, lower+"/"):
		return false, denied("context: %q is a link on the way to the Dockerfile", clip(name))
	}
	if isLink {
		if len(links) > 1<<17 {
			return false, denied("context: too many links")
		}
		links[name] = true
	} else {
		delete(links, name)
	}
	return false, nil
}

// judgeBase judges an image that a build stands on or copies from, and returns its
// ID. The engine would pull one that is not there by itself, unseen: it must be
// there.
func (q *request) judgeBase(name string) (string, error) {
	if name == "scratch" {
		return name, nil
	}
	image, err := q.image(name)
	if fault.Is(err, fault.NotFound) {
		return "", fault.Hint(denied("build: the team has no image %q", clip(name)), "docker pull %s", clip(name))
	}
	if err != nil {
		return "", err
	}
	if err := judgeTriggers(name, image.Config.OnBuild); err != nil {
		return "", err
	}
	d, err := q.p.Guard.Judge(q.ctx(), Question{
		Image: normalised(name), Config: ref.Digest(image.ID), RepoDigests: image.RepoDigests,
		Team: q.team, Action: ActionBuild, Caller: q.caller, Door: Door,
	})
	if err != nil {
		return "", err
	}
	profile := q.profile
	err = q.obey(d, name)
	q.profile = profile
	return image.ID, err
}
