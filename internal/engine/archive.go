package engine

import (
	"net/http"
)

// archive copies files in or out of a container. In one that runs sealed it is
// done inside, by a helper; in others the engine does it.
func (q *request) archive() error {
	c, err := q.container(q.name)
	if err != nil {
		return err
	}
	if err := q.admit(ActionCopy); err != nil {
		return err
	}
	if q.r.Method != http.MethodHead {
		if err := q.allow("copy", "%s %q of container %s", q.r.Method, clip(q.query.Get("path")), c.ID); err != nil {
			return err
		}
	}
	inside, err := q.enter(c.ID)
	if err != nil {
		return err
	}
	if inside != nil {
		defer inside.close()
		return q.copyInside(inside)
	}
	o := outgoing{method: q.r.Method, path: "containers/" + c.ID + "/archive", query: q.query.Values}
	if q.r.Method == http.MethodPut {
		o.body, o.length, o.kind = q.r.Body, q.r.ContentLength, "application/x-tar"
	}
	_, err = q.pass(o)
	return err
}
