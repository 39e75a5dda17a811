package policy

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"plimsoll/internal/fault"
)

// maxMistakes is how many mistakes of a document are reported at once.
const maxMistakes = 20

// decoder fills a [Document] from a YAML tree and remembers where each field
// stands, so that later checks can point at it.
type decoder struct {
	name     string
	where    map[string]position // by path: "environments.production.rules[2].deny"
	mistakes []mistake
}

type mistake struct {
	position
	path, text string
}

// fail notes that the field at path is wrong.
func (d *decoder) fail(path, format string, args ...any) {
	at, known := d.where[path], path
	for at == (position{}) && known != "" { // a field that is not there: point at what should hold it
		known = known[:max(strings.LastIndexAny(known, ".["), 0)]
		at = d.where[known]
	}
	d.mistakes = append(d.mistakes, mistake{at, path, fmt.Sprintf(format, args...)})
}

// err returns all mistakes, one line each, in the order of the document.
func (d *decoder) err() error {
	if len(d.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(d.mistakes, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var lines []string
	for i, m := range d.mistakes {
		if i == maxMistakes {
			lines = append(lines, fmt.Sprintf("and %d more mistakes", len(d.mistakes)-i))
			break
		}
		lines = append(lines, strings.Replace(fmt.Sprintf("%s:%s: %s: %s", d.name, m.position, m.path, m.text), ": : ", ": ", 1))
	}
	return fault.Errorf(fault.Invalid, "%s", strings.Join(lines, "\n"))
}

// scalar is a value with a spelling of its own.
type scalar interface{ parse(s string) error }

// shorthand is a struct that one word can stand for.
type shorthand interface{ word(s string) error }

// decode fills v, which can be set, from n.
func (d *decoder) decode(path string, n ast.Node, v reflect.Value) {
	d.where[path] = at(n.GetToken())
	if n.Type() == ast.NullType {
		d.fail(path, "is empty: fill it in or leave it out")
		return
	}
	if s, ok := v.Addr().Interface().(scalar); ok {
		d.decodeText(path, n, s.parse)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decodePointer(path, n, v)
	case reflect.Struct:
		d.decodeStruct(path, n, v)
	case reflect.Map:
		d.decodeMap(path, n, v)
	case reflect.Slice:
		d.decodeSlice(path, n, v)
	case reflect.String:
		d.decodeText(path, n, func(s string) error { v.SetString(s); return nil })
	default:
		d.decodePlain(path, n, v)
	}
}

func (d *decoder) decodePointer(path string, n ast.Node, v reflect.Value) {
	if s, ok := v.Interface().(shorthand); ok {
		if text, ok := textOf(n); ok {
			if err := s.word(text); err != nil {
				d.fail(path, "%v", err)
			}
			return
		}
	}
	d.decode(path, n, v.Elem())
}

// textOf returns the text of a node that is text, quoted or not.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

func (d *decoder) decodeText(path string, n ast.Node, set func(string) error) {
	s, ok := textOf(n)
	if !ok {
		d.fail(path, "want text, got %s (put it in quotes if it is meant as text)", kindOf(n))
		return
	}
	if err := set(s); err != nil {
		d.fail(path, "%v", err)
	}
}

func (d *decoder) decodePlain(path string, n ast.Node, v reflect.Value) {
	text := ""
	if t := n.GetToken(); t != nil {
		text = t.Value
	}
	_, isInt := n.(*ast.IntegerNode)
	_, isFloat := n.(*ast.FloatNode)
	_, isBool := n.(*ast.BoolNode)
	switch v.Kind() {
	case reflect.Bool:
		if !isBool {
			d.fail(path, "want true or false, got %s", kindOf(n))
			return
		}
		v.SetBool(n.(*ast.BoolNode).Value)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, 32)
		if !isInt || err != nil {
			d.fail(path, "want a whole number, got %s", kindOf(n))
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if !isInt && !isFloat || err != nil {
			d.fail(path, "want a number, got %s", kindOf(n))
			return
		}
		v.SetFloat(f)
	default:
		d.fail(path, "this program cannot read %s", v.Kind())
	}
}

func (d *decoder) decodeStruct(path string, n ast.Node, v reflect.Value) {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		if name, ok := v.Type().Field(i).Tag.Lookup("yaml"); ok {
			fields[name] = v.Field(i)
		}
	}
	for key, value := range d.entries(path, n) {
		field, ok := fields[key.name]
		if !ok {
			d.where[join(path, key.name)] = key.position
			d.fail(join(path, key.name), "unknown field; known here: %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
			continue
		}
		d.decode(join(path, key.name), value, field)
	}
}

func (d *decoder) decodeMap(path string, n ast.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.entries(path, n) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.decode(join(path, key.name), value, elem)
		v.SetMapIndex(reflect.ValueOf(key.name).Convert(v.Type().Key()), elem)
	}
}

func (d *decoder) decodeSlice(path string, n ast.Node, v reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(path, "want a list, got %s", kindOf(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, value := range seq.Values {
		d.decode(fmt.Sprintf("%s[%d]", path, i), value, v.Index(i))
	}
}

type key struct {
	position
	name string
}

// entries yields the keys of a mapping, each once, with their values.
func (d *decoder) entries(path string, n ast.Node) func(func(key, ast.Node) bool) {
	return func(yield func(key, ast.Node) bool) {
		var values []*ast.MappingValueNode
		switch n := n.(type) {
		case *ast.MappingNode:
			values = n.Values
		case *ast.MappingValueNode:
			values = []*ast.MappingValueNode{n}
		default:
			d.fail(path, "want fields, got %s", kindOf(n))
			return
		}
		seen := map[string]bool{}
		for _, e := range values {
			k := key{at(e.Key.GetToken()), ""}
			name, ok := e.Key.(*ast.StringNode)
			if ok {
				k.name = name.Value
			}
			if !ok || seen[k.name] {
				d.where[join(path, k.name)] = k.position
				d.fail(join(path, k.name), "a field's name is text and stands only once")
				continue
			}
			seen[k.name] = true
			if !yield(k, e.Value) {
				return
			}
		}
	}
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "fields"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	}
	return "YAML that is not taken here"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
