package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"plimsoll/internal/fault"
)

// engineError is an answer of the engine that is passed on as it is.
type engineError struct {
	status  int
	message string
}

func (e *engineError) Error() string { return e.message }

var statuses = map[fault.Kind]int{
	fault.Usage:       http.StatusBadRequest,
	fault.Invalid:     http.StatusBadRequest,
	fault.NotFound:    http.StatusNotFound,
	fault.Denied:      http.StatusForbidden,
	fault.Untrusted:   http.StatusForbidden,
	fault.Conflict:    http.StatusConflict,
	fault.Unavailable: http.StatusServiceUnavailable,
}

// told returns what a client is told of an error: the engine's own words as they
// are, unless somebody has given them a kind since. What is not there is told in
// the engine's words too, so that nobody can tell what is hidden from what does
// not exist.
func told(err error) (status int, message string) {
	kind := fault.KindOf(err)
	if said := (*engineError)(nil); kind == fault.Internal && errors.As(err, &said) {
		return said.status, said.message
	}
	status, ok := statuses[kind]
	switch {
	case !ok:
		return http.StatusInternalServerError, "plimsoll: internal error"
	case kind == fault.NotFound:
		return status, err.Error()
	}
	message = "plimsoll: " + err.Error()
	if h := fault.HintOf(err); h != "" {
		message += " (hint: " + h + ")"
	}
	return status, message
}

// writeError answers in the engine's form of an error.
func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"message": message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"message":"plimsoll: internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // a client that has gone is no error of ours
}

func notFound(what, name string) error {
	return fault.Errorf(fault.NotFound, "No such %s: %s", what, name)
}

func denied(format string, args ...any) error {
	return fault.Errorf(fault.Denied, format, args...)
}

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }
