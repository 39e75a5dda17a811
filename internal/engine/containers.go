package engine

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/moby/moby/api/types/container"

	"plimsoll/internal/fault"
)

var (
	fullID        = regexp.MustCompile(`^[0-9a-f]{64}$`)
	containerName = regexp.MustCompile(`^/?[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$`)
	// likeID is what people write for a whole ID: an engine looks for names first.
	likeID = regexp.MustCompile(`^/?[0-9a-f]{12,64}$`)
	// psArguments have no "=": with it a column can be called PID, by which engines
	// tell a container's processes from the host's.
	psArguments = regexp.MustCompile(`^[-A-Za-z0-9, ]{0,100}$`)
)

func containerRoutes() []route {
	const c = "containers/{name}"
	return []route{
		get("containers/json", "all limit size filters before since", (*request).listContainers),
		post("containers/create", "name platform", (*request).createContainer).withBody(),
		post("containers/prune", "filters", (*request).pruneContainers),
		get(c+"/json", "size", (*request).inspectContainer),
		get(c+"/top", "ps_args", (*request).top),
		get(c+"/logs", "follow stdout stderr since until timestamps tail details", (*request).logs),
		get(c+"/changes", "", (*request).refreshed),
		get(c+"/export", "", (*request).refreshed),
		get(c+"/stats", "stream one-shot", ofContainer("stats")),
		post(c+"/start", "detachKeys checkpoint checkpoint-dir", (*request).start),
		post(c+"/stop", "t signal", ofContainer("stop")),
		post(c+"/restart", "t signal", ofContainer("restart")),
		post(c+"/kill", "signal", ofContainer("kill")),
		post(c+"/pause", "", ofContainer("pause")),
		post(c+"/unpause", "", ofContainer("unpause")),
		post(c+"/resize", "h w", ofContainer("resize")),
		post(c+"/wait", "condition", ofContainer("wait")),
		post(c+"/rename", "name", (*request).rename),
		post(c+"/update", "", (*request).update).withBody(),
		post(c+"/attach", "detachKeys logs stream stdin stdout stderr", (*request).attach).asStream(),
		del(c, "v force link", (*request).remove),
		{method: http.MethodHead, pattern: c + "/archive", query: "path", do: (*request).archive},
		get(c+"/archive", "path", (*request).archive),
		{method: http.MethodPut, pattern: c + "/archive", query: "path noOverwriteDirNonDir copyUIDGID", body: true, do: (*request).archive},
		// Clients that look a name up among everything begin with containers, also
		// for names that only images have.
		get("containers/{name...}/json", "size", func(q *request) error { return notFound("container", q.name) }),
		post("commit", "container repo tag comment author pause changes*", (*request).commit).withBody(),
	}
}

// checkName judges a name that a container is to have. One that reads like an ID
// could stand where another team writes that container's.
func checkName(name string) error {
	if !containerName.MatchString(name) || likeID.MatchString(name) {
		return fault.Errorf(fault.Invalid, "%q is not a name that a container can be given", clip(name))
	}
	return nil
}

// container returns the team's container that a name, an ID or part of one
// stands for. Another team's is not found, like one that is not there.
func (q *request) container(name string) (Container, error) {
	if !containerName.MatchString(name) {
		return Container{}, notFound("container", name)
	}
	id := name
	if !fullID.MatchString(name) {
		var found struct{ ID string }
		err := q.ask(outgoing{method: http.MethodGet, path: "containers/" + name + "/json"}, &found)
		if isStatus(err, http.StatusNotFound) {
			return Container{}, notFound("container", name)
		}
		if err != nil {
			return Container{}, err
		}
		id = found.ID
	}
	c, err := q.ownContainer(id)
	if fault.Is(err, fault.NotFound) {
		return Container{}, notFound("container", name)
	}
	return c, err
}

// ownContainer returns what is remembered of the team's container with the full
// ID. An attempt on another team's is recorded.
func (q *request) ownContainer(id string) (Container, error) {
	if !fullID.MatchString(id) {
		return Container{}, notFound("container", id)
	}
	c, err := q.p.Guard.Container(q.ctx(), id)
	if err != nil {
		return Container{}, err
	}
	if c.Team != q.team {
		q.foreign("container", id)
		return Container{}, notFound("container", id)
	}
	c.ID = id
	return c, nil
}

// foreign records that the caller asked for what is another team's.
func (q *request) foreign(kind, name string) {
	if q.route.method == http.MethodGet && q.name == "" {
		return // a list, which leaves it out
	}
	if err := q.record("denied", "team", q.r.Method+" "+clip(q.r.RequestURI)+": "+kind+" "+clip(name)+" is another team's"); err != nil {
		q.p.Log.Error("record a denial", slog.Any("err", err))
	}
}

// ofContainer is a route that needs no more than a container of the team.
func ofContainer(verb string) func(*request) error {
	return func(q *request) error {
		c, err := q.container(q.name)
		if err != nil {
			return err
		}
		if q.r.Method == http.MethodPost {
			if err := q.admit(ActionRun); err != nil {
				return err
			}
		}
		_, err = q.same("containers/" + c.ID + "/" + verb)
		return err
	}
}

// admit asks whether the caller may do the action; the guard records a denial.
func (q *request) admit(action string) error {
	p, err := q.p.Guard.Admit(q.ctx(), q.team, action, q.caller)
	if err != nil {
		q.tells = fault.Is(err, fault.Denied)
		return err
	}
	if p == nil {
		return fault.Errorf(fault.Internal, "the guard admitted and gave no profile")
	}
	q.profile = p
	return nil
}

func (q *request) inspectContainer() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	_, err = q.same("containers/" + c.ID + "/json")
	return err
}

// top runs ps on the host: its arguments are letters, digits and dashes.
func (q *request) top() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	if !psArguments.MatchString(q.query.Get("ps_args")) {
		return denied("these arguments of ps may not be used")
	}
	_, err = q.same("containers/" + c.ID + "/top")
	return err
}

func (q *request) logs() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	if err := q.admit(ActionLogs); err != nil {
		return err
	}
	_, err = q.same("containers/" + c.ID + "/logs")
	return err
}

// start starts a container. The runtime asks the guard once more.
func (q *request) start() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	if err := only(q.query.Values, "checkpoint", "checkpoint-dir"); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	if err := q.allow("start", "start container %s (%s)", c.ID, c.Image); err != nil {
		return err
	}
	_, err = q.same("containers/" + c.ID + "/start")
	return err
}

func (q *request) rename() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	name := q.query.Get("name")
	if err := checkName(name); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	o := outgoing{method: http.MethodPost, path: "containers/" + c.ID + "/rename", query: q.query.Values}
	if err := q.ask(o, nil); err != nil {
		return nameTaken(err, name)
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// nameTaken replaces the engine's answer that a name is in use, which says by
// which container.
func nameTaken(err error, name string) error {
	if isStatus(err, http.StatusConflict) {
		return fault.Errorf(fault.Conflict, "the container name %q is already in use on this host", name)
	}
	return err
}

func (q *request) remove() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	if err := only(q.query.Values, "link"); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	resp, err := q.send(q.ctx(), outgoing{method: http.MethodDelete, path: "containers/" + c.ID, query: q.query.Values})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotFound {
		if err := q.p.Guard.Removed(q.ctx(), c.ID); err != nil {
			q.p.Log.Error("forget a container", slog.String("id", c.ID), slog.Any("err", err))
		}
	}
	return q.answer(resp, nil)
}

// update changes limits, within the profile.
func (q *request) update() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	var body container.UpdateConfig
	if err := q.read(&body, legacyUpdate); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	if err := updatable.check(&body, ""); err != nil {
		return err
	}
	if err := limitUpdate(&body.Resources, q.profile); err != nil {
		return err
	}
	if err := q.allow("update", "update limits of container %s", c.ID); err != nil {
		return err
	}
	return q.passJSON("containers/"+c.ID+"/update", body)
}

func (q *request) attach() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	return q.hijack("containers/"+c.ID+"/attach", nil)
}

// refreshed serves what the engine reads through its own mount of a container's
// root (export, changes): what that mount remembers is dropped first.
func (q *request) refreshed() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	verb := q.target.segments[2]
	if verb == "export" {
		if err := q.admit(ActionCopy); err != nil {
			return err
		}
		if err := q.allow("export", "export container %s", c.ID); err != nil {
			return err
		}
	}
	if err := q.refresh(c.ID); err != nil {
		return err
	}
	_, err = q.same("containers/" + c.ID + "/" + verb)
	return err
}

// commit makes an image of a container.
func (q *request) commit() error {
	if err := q.admit(ActionBuild); err != nil {
		return err
	}
	c, err := q.container(q.query.Get("container"))
	if err != nil {
		return err
	}
	config, err := commitBody(q.r)
	if err != nil {
		return err
	}
	if config != nil {
		if err := q.checkConfig(config); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(q.query.Values["changes"], reservedLabel.MatchString) {
		return denied("changes: labels that begin with %s are Plimsoll's", labelPrefix)
	}
	name, err := q.claimName(q.query.Get("repo"), q.query.Get("tag"))
	if err != nil {
		return err
	}
	if err := q.allow("commit", "commit container %s as %q", c.ID, name); err != nil {
		return err
	}
	query := url.Values{"container": {c.ID}, "comment": q.query.Values["comment"], "author": q.query.Values["author"], "pause": q.query.Values["pause"], "changes": q.query.Values["changes"]}
	o := outgoing{method: http.MethodPost, path: "commit", query: query, kind: "application/json"}
	if config != nil {
		if o, err = jsonBody("commit", query, config); err != nil {
			return err
		}
	}
	var made struct {
		ID string `json:"Id"`
	}
	if err := q.ask(o, &made); err != nil {
		return err
	}
	if err := q.claimImage(made.ID); err != nil {
		return err
	}
	if name != "" {
		if err := q.setTag(made.ID, name); err != nil {
			return err
		}
	}
	writeJSON(q.w, http.StatusCreated, made)
	return nil
}

// commitBody reads the configuration that may go with a commit.
func commitBody(r *http.Request) (*container.Config, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	data, err := readBody(r)
	if err != nil {
		return nil, err
	}
	var config *container.Config
	return config, decodeBody(data, &config, legacyCommit)
}
