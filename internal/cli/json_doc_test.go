package cli

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/audit"
	"plimsoll/internal/trust"
	"plimsoll/internal/verdict"
)

// TestJSONIsDocumented looks for every field that these commands write in the
// document that promises them.
func TestJSONIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/json-trust.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{
		generated{},
		proof{},
		published{},
		rootState{},
		roleState{},
		keyState{},
		statusState{},
		refreshed{},
		ceremonyState{},
		exposureState{},
		trust.Pins{},
		verified{},
		attestation{},
		signedRole{},
		formatsState{},
		attestResult{},
		stated{},
		linted{},
		verdict.Decision{},
		audit.Event{},
		audit.Proof{},
		audit.Report{},
	} {
		for _, field := range jsonFields(reflect.TypeOf(v)) {
			if !strings.Contains(string(b), "`"+field+"`") {
				t.Errorf("field %q of %T is not documented", field, v)
			}
		}
	}
}

// jsonFields returns the names of the fields of t and of the structs in it.
func jsonFields(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	var all []string
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			all = append(all, name)
		}
		all = append(all, jsonFields(f.Type)...)
	}
	return all
}
