package cli

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"plimsoll/internal/inventory"
)

// TestEveryFieldIsDocumented compares what -o json may write with docs/json.md.
func TestEveryFieldIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{scanResult{}, inventory.Inventory{}} {
		for _, name := range fields(reflect.TypeOf(v), map[reflect.Type]bool{}) {
			if !strings.Contains(string(b), "`"+name+"`") {
				t.Errorf("%T: the field %q is not in docs/json.md", v, name)
			}
		}
	}
}

// fields returns the names that a struct and those in it have in JSON.
func fields(typ reflect.Type, seen map[reflect.Type]bool) (names []string) {
	for typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] {
		return nil
	}
	seen[typ] = true
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		names = append(append(names, name), fields(f.Type, seen)...)
	}
	return names
}
