package engine

import (
	"fmt"
	"testing"

	"plimsoll/internal/fault"
)

func TestTold(t *testing.T) {
	full := &engineError{404, "no addresses are left"}
	for _, c := range []struct {
		err     error
		status  int
		message string
	}{
		{full, 404, "no addresses are left"},
		{fmt.Errorf("create: %w", full), 404, "no addresses are left"},
		{fault.Errorf(fault.Unavailable, "the network cannot be made: %w", full), 503, "plimsoll: the network cannot be made: no addresses are left"},
		{fault.Hint(denied("not here"), "go there"), 403, "plimsoll: not here (hint: go there)"},
		{notFound("container", "x"), 404, "No such container: x"},
		{aboutAnother(notFound("container", "x")), 400, "plimsoll: No such container: x"},
		{aboutAnother(full), 400, "plimsoll: no addresses are left"},
		{aboutAnother(denied("not here")), 403, "plimsoll: not here"},
		{fmt.Errorf("a path of this host: /etc"), 500, "plimsoll: internal error"},
	} {
		if status, message := told(c.err); status != c.status || message != c.message {
			t.Errorf("%v: %d %q, want %d %q", c.err, status, message, c.status, c.message)
		}
	}
}
