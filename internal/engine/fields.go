package engine

import (
	"reflect"
	"strings"
)

// fields are the members of one of the engine's types that may say something;
// every other must be empty, and is emptied, so that nothing but what is named
// here goes on to the engine. The words are names of Go fields.
type fields map[string]bool

func allowed(names string) fields {
	f := fields{}
	for name := range strings.FieldsSeq(names) {
		f[name] = true
	}
	return f
}

// check refuses what is not allowed in the struct that v points to.
func (f fields) check(v any, at string) error { return f.walk(reflect.ValueOf(v).Elem(), at) }

func (f fields) walk(v reflect.Value, at string) error {
	t := v.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		switch {
		case field.Anonymous && field.Type.Kind() == reflect.Struct:
			if err := f.walk(v.Field(i), at); err != nil {
				return err
			}
		case f[field.Name]:
		case !empty(v.Field(i)):
			return denied("%s may not be asked for", join(at, jsonName(field)))
		default:
			v.Field(i).SetZero()
		}
	}
	return nil
}

// empty reports whether a value asks for nothing: zero, a list without elements,
// a pointer to such.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Pointer:
		return v.IsNil() || empty(v.Elem())
	default:
		return v.IsZero()
	}
}

func jsonName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}
