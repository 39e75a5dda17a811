package engine

import (
	"bytes"
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
	data, err := readBody(q.r)
	if err != nil {
		return err
	}
	var body container.ExecCreateRequest
	if err := decodeBody(data, &body, legacyExec); err != nil {
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
	o, err := jsonBody("containers/"+c.ID+"/exec", nil, body)
	if err != nil {
		return err
	}
	_, err = q.pass(o)
	return err
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
	data, err := readBody(q.r)
	if err != nil {
		return err
	}
	var body container.ExecStartRequest
	if err := decodeBody(data, &body, nil); err != nil {
		return err
	}
	if err := q.admit(ActionExec); err != nil {
		return err
	}
	if data, err = json.Marshal(body); err != nil {
		return fault.As(fault.Internal, err)
	}
	path := "exec/" + q.name + "/start"
	if body.Detach {
		_, err = q.pass(outgoing{method: http.MethodPost, path: path, body: bytes.NewReader(data), length: int64(len(data)), kind: "application/json"})
		return err
	}
	return q.hijack(path, data)
}
