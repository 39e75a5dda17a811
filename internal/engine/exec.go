package engine

import (
	"encoding/json"
	"net/http"

	"github.com/moby/moby/api/types/container"

	"plimsoll/internal/fault"
)

func execRoutes() []route {
	return []route{
		post("containers/{name}/exec", "", (*request).createExec).withBody(),
		post("exec/{name}/start", "", (*request).startExec).withBody().asStream(),
		post("exec/{name}/resize", "h w", (*request).ofExec),
		get("exec/{name}/json", "", (*request).ofExec),
	}
}

var execFields = allowed("User Tty ConsoleSize AttachStdin AttachStderr AttachStdout DetachKeys Env WorkingDir Cmd")

// createExec judges a further process in a container of the team.
func (q *request) createExec() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	var body container.ExecCreateRequest
	if err := q.read(&body, legacyExec); err != nil {
		return err
	}
	if err := q.admit(ActionExec); err != nil {
		return err
	}
	if err := execFields.check(&body, ""); err != nil {
		return err
	}
	if err := q.allow("exec", "exec in container %s as %q: %.200q", c.ID, clip(body.User), body.Cmd); err != nil {
		return err
	}
	return q.passJSON("containers/"+c.ID+"/exec", body)
}

// execOf finds the container that an exec is of. The engine knows, also after
// the guard was started anew.
func (q *request) execOf(id string) error {
	if !fullID.MatchString(id) {
		return notFound("exec instance", id)
	}
	var found struct{ ID, ContainerID string }
	err := q.ask(outgoing{method: http.MethodGet, path: "exec/" + id + "/json"}, &found)
	if isStatus(err, http.StatusNotFound) {
		return notFound("exec instance", id)
	}
	if err != nil {
		return err
	}
	if found.ID != id {
		return notFound("exec instance", id)
	}
	_, err = q.ownContainer(found.ContainerID)
	if fault.Is(err, fault.NotFound) {
		return notFound("exec instance", id)
	}
	return err
}

func (q *request) ofExec() error {
	if err := q.execOf(q.name); err != nil {
		return err
	}
	_, err := q.same("exec/" + q.name + "/" + q.target.segments[2])
	return err
}

func (q *request) startExec() error {
	if err := q.execOf(q.name); err != nil {
		return err
	}
	var body container.ExecStartRequest
	if err := q.read(&body, nil); err != nil {
		return err
	}
	if err := q.admit(ActionExec); err != nil {
		return err
	}
	path := "exec/" + q.name + "/start"
	if body.Detach {
		return q.passJSON(path, body)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return fault.As(fault.Internal, err)
	}
	return q.hijack(path, data)
}
