package policy

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	celref "cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"plimsoll/internal/inventory"
)

// words are the values that a field can have at all. A rule that compares with
// another would never deny anything, and nobody would notice.
var words = map[string][]string{
	"kind": texts(inventory.Kinds), "type": texts(inventory.Types),
	"relation": {"", string(inventory.Contains), string(inventory.Links)},
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = string(one)
	}
	return out
}

// checkWords returns what is wrong with the uses of component.kind and
// component.type: they may only be compared, by ==, != or in, with words that
// the scanner of this version produces.
func checkWords(checked *cel.Ast) []string {
	tree := checked.NativeRep()
	good := map[int64]bool{}
	var mistakes []string
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
			return
		}
		a, b := e.AsCall().Args()[0], e.AsCall().Args()[1]
		switch e.AsCall().FunctionName() {
		case operators.Equals, operators.NotEquals:
			if wordField(tree, a) == "" {
				a, b = b, a
			}
		case operators.In:
		default:
			return
		}
		name := wordField(tree, a)
		values, ok := literals(b)
		if name == "" || !ok {
			return
		}
		good[a.ID()] = true
		for _, v := range values {
			if !slices.Contains(words[name], v) {
				mistakes = append(mistakes, fmt.Sprintf("no component has the %s %q in this version, so the rule would never deny: there are %s", name, v, strings.Join(words[name], ", ")))
			}
		}
	}))
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if name := wordField(tree, e); name != "" && !good[e.ID()] {
			mistakes = append(mistakes, fmt.Sprintf("component.%s can only be compared, by ==, != or in, with the words %s", name, strings.Join(words[name], ", ")))
		}
	}))
	return mistakes
}

// wordField returns the name of the field if e is one of words.
func wordField(tree *ast.AST, e ast.Expr) string {
	if e.Kind() != ast.SelectKind || words[e.AsSelect().FieldName()] == nil {
		return ""
	}
	if t := tree.GetType(e.AsSelect().Operand().ID()); t == nil || !t.IsExactType(componentType) {
		return ""
	}
	return e.AsSelect().FieldName()
}

// literals returns the texts that e writes out, one or a list.
func literals(e ast.Expr) ([]string, bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		s, ok := e.AsLiteral().Value().(string)
		return []string{s}, ok
	case ast.ListKind:
		var all []string
		for _, item := range e.AsList().Elements() {
			s, ok := literals(item)
			if !ok {
				return nil, false
			}
			all = append(all, s...)
		}
		return all, true
	default:
		return nil, false
	}
}

// asksForScan reports whether an expression asks for a field of the image that
// only a scan tells.
func asksForScan(checked *cel.Ast) bool {
	tree, found := checked.NativeRep(), false
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.SelectKind && strings.HasPrefix(e.AsSelect().FieldName(), "distro") {
			found = true
		}
	}))
	return found
}

// format is "text %s".format([value, …]): each %s is replaced by the next value,
// %% by a percent sign. Its result is bounded, as [maxMessage] says.
func format(text, list celref.Val) celref.Val {
	pattern, ok := text.Value().(string)
	values, isList := list.(traits.Lister)
	if !ok || !isList {
		return types.MaybeNoSuchOverloadErr(list)
	}
	var out strings.Builder
	next := types.Int(0)
	for i := 0; i < len(pattern) && out.Len() <= maxMessage; i++ {
		if pattern[i] != '%' {
			out.WriteByte(pattern[i])
			continue
		}
		i++
		switch {
		case i < len(pattern) && pattern[i] == '%':
			out.WriteByte('%')
		case i < len(pattern) && (pattern[i] == 's' || pattern[i] == 'd'):
			if next >= values.Size().(types.Int) {
				return types.NewErr("format: more %%s than values")
			}
			s := values.Get(next).ConvertToType(types.StringType)
			if types.IsError(s) {
				return s
			}
			fmt.Fprint(&out, s.Value())
			next++
		default:
			return types.NewErr("format: only %%s, %%d and %%%% are known")
		}
	}
	return types.String(out.String()[:min(out.Len(), maxMessage)])
}
