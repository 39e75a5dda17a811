package rewrite_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// edit returns a captured document with one member, named by its path, replaced.
func edit(t testing.TB, name, where string, v any) []byte {
	t.Helper()
	return editRaw(t, captured(t, name), where, v)
}

func editRaw(t testing.TB, document []byte, where string, v any) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	o := doc
	parts := strings.Split(where, ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := o[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			o[p] = next
		}
		o = next
	}
	o[parts[len(parts)-1]] = v
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func lookup(doc any, where string) any {
	for p := range strings.SplitSeq(where, ".") {
		o, ok := doc.(map[string]any)
		if !ok {
			return nil
		}
		doc = o[p]
	}
	return doc
}
