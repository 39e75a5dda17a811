package engine

import (
	"net/http"
	"net/url"

	"github.com/moby/moby/api/types/volume"

	"plimsoll/internal/fault"
)

func volumeRoutes() []route {
	return []route{
		get("volumes", "filters", (*request).listVolumes),
		get("volumes/{name}", "", (*request).inspectVolume),
		post("volumes/create", "", (*request).createVolume).withBody(),
		post("volumes/prune", "filters", (*request).pruneVolumes),
		del("volumes/{name}", "force", (*request).removeVolume),
		{method: http.MethodPut, pattern: "volumes/{name}", open: true, body: true, query: anyQuery, do: func(*request) error {
			return denied("cluster volumes are not served")
		}},
	}
}

// engineVolume is what an engine says of a volume.
type engineVolume struct {
	Name    string
	Driver  string
	Options map[string]string
}

// plain reports whether the volume is a folder of the engine's own: one with
// options may be any folder of the host, or of another.
func (v engineVolume) plain() bool { return v.Driver == "local" && len(v.Options) == 0 }

// engineVolume asks for a volume by its whole name.
func (q *request) engineVolume(name string) (engineVolume, error) {
	var v engineVolume
	err := q.ask(outgoing{method: http.MethodGet, path: "volumes/" + name}, &v)
	if isStatus(err, http.StatusNotFound) || err == nil && v.Name != name {
		return v, notFound("volume", name)
	}
	return v, err
}

// ownVolume fails unless the volume is the team's.
func (q *request) ownVolume(name string) error {
	if !volumeName.MatchString(name) {
		return notFound("volume", name)
	}
	owned, err := q.owns(KindVolume, name)
	if err == nil && !owned {
		return notFound("volume", name)
	}
	return err
}

// ensureVolume makes sure that a name stands for a plain volume of the team's,
// and makes it if there is none. A volume that nobody claimed was made by
// somebody else: it is nobody's to use.
func (q *request) ensureVolume(name string) error {
	if name == "" {
		return nil // the engine makes one with a name of its own
	}
	if !volumeName.MatchString(name) {
		return fault.Errorf(fault.Invalid, "%q is not a volume's name", clip(name))
	}
	owned, err := q.owns(KindVolume, name)
	if err != nil {
		return err
	}
	v, err := q.engineVolume(name)
	switch {
	case err == nil && !owned:
		return denied("volume %q is not the team's", name)
	case err == nil && !v.plain():
		return denied("volume %q has options that reach the host", name)
	case err == nil:
		return nil
	case !fault.Is(err, fault.NotFound):
		return err
	}
	return q.makeVolume(volume.CreateRequest{Name: name}, nil)
}

// makeVolume claims a name, if there is one, and then makes the volume.
func (q *request) makeVolume(v volume.CreateRequest, answer *map[string]any) error {
	if v.Name != "" {
		if err := q.p.Guard.Claim(q.ctx(), KindVolume, v.Name, q.team); err != nil {
			if fault.Is(err, fault.Conflict) {
				return denied("volume %q is not the team's", v.Name)
			}
			return err
		}
	}
	v.Driver, v.DriverOpts, v.ClusterVolumeSpec = "local", nil, nil
	if v.Labels == nil {
		v.Labels = map[string]string{}
	}
	v.Labels[teamLabel] = q.team
	if err := q.allow("volume", "create volume %q", v.Name); err != nil {
		return err
	}
	o, err := jsonBody("volumes/create", nil, v)
	if err != nil {
		return err
	}
	made := map[string]any{}
	if err := q.ask(o, &made); err != nil {
		return err
	}
	if name, _ := made["Name"].(string); v.Name == "" {
		if err := q.p.Guard.Claim(q.ctx(), KindVolume, name, q.team); err != nil {
			return err
		}
	}
	if answer != nil {
		*answer = made
	}
	return nil
}

func (q *request) createVolume() error {
	var body volume.CreateRequest
	if err := q.read(&body, nil); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	switch {
	case body.Driver != "" && body.Driver != "local":
		return denied("Driver: %q may not be chosen", clip(body.Driver))
	case len(body.DriverOpts) > 0:
		return fault.Hint(denied("DriverOpts may not be given: they mount what the host has"), "docker run --tmpfs, or --mount type=bind of a path that the profile grants")
	case body.ClusterVolumeSpec != nil:
		return denied("ClusterVolumeSpec may not be given")
	}
	if err := checkLabels(body.Labels); err != nil {
		return err
	}
	if body.Name != "" {
		return q.createNamed(body)
	}
	return q.answerVolume(body)
}

// createNamed makes a volume, or answers with the one that the team has.
func (q *request) createNamed(body volume.CreateRequest) error {
	if !volumeName.MatchString(body.Name) {
		return fault.Errorf(fault.Invalid, "%q is not a volume's name", clip(body.Name))
	}
	owned, err := q.owns(KindVolume, body.Name)
	if err != nil {
		return err
	}
	v, err := q.engineVolume(body.Name)
	switch {
	case err == nil && (!owned || !v.plain()):
		return denied("volume %q is not the team's", body.Name)
	case err != nil && !fault.Is(err, fault.NotFound):
		return err
	}
	return q.answerVolume(body)
}

func (q *request) answerVolume(body volume.CreateRequest) error {
	var made map[string]any
	if err := q.makeVolume(body, &made); err != nil {
		return err
	}
	writeJSON(q.w, http.StatusCreated, made)
	return nil
}

func (q *request) inspectVolume() error {
	if err := q.ownVolume(q.name); err != nil {
		return err
	}
	_, err := q.same("volumes/" + q.name)
	return err
}

func (q *request) removeVolume() error {
	if err := q.ownVolume(q.name); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	if err := q.dropVolume(q.name, q.query.Values); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (q *request) dropVolume(name string, query url.Values) error {
	err := q.ask(outgoing{method: http.MethodDelete, path: "volumes/" + name, query: query}, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return err
	}
	if err := q.p.Guard.Disown(q.ctx(), KindVolume, name); err != nil {
		return err
	}
	return err
}
