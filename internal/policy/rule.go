package policy

import (
	"context"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"plimsoll/internal/fault"
)

// Rule says what to deny, as a CEL expression over each finding, each component
// or the image as a whole.
//
// A rule for each finding has the variables finding, component (the one that the
// finding is about) and image; a rule for each component has component and
// image; a rule for each image has image. Their fields:
//
//	finding    id, advisory, aliases (list), severity (compared with severity.unknown, none, low, medium,
//	           high, critical), score, fixed ("" if no version is), fixedFor (duration for which a fix has been
//	           available: 0 without a fix, 200 years if nobody knows since when), exploited, source, component
//	component  kind, type, namespace, name, version, arch, source (its source package), relation, licences, layers (from
//	           0, the bottom), paths, methods: the last four are lists
//	image      name (as asked for), gun, digest, platform, local, distro, distroVersion
//
// Files that can run and that nothing explains are components too, of the kinds
// unknown-executable, changed-executable (not what its package recorded) and
// known-bad-executable, with the path as the name and the digest as the version.
// So are secrets in any layer: kind secret, the path, and what they open.
//
// A finding that nobody has rated has severity.unknown, which is below all
// others: a rule that means it says so.
type Rule struct {
	ID      string `yaml:"id"`   // unique in its environment
	Each    string `yaml:"each"` // "finding", "component" or "image"
	Deny    string `yaml:"deny"` // CEL, bool
	Message string `yaml:"message"`
	// MessageExpression is CEL that gives text; Message stands in if it fails.
	MessageExpression string `yaml:"messageExpression"`

	deny, message cel.Program
	usesScan      bool
}

// The subjects of rules.
const (
	eachFinding   = "finding"
	eachComponent = "component"
	eachImage     = "image"
)

// Bounds on expressions and on what they may cost. A rule is evaluated once for
// each finding or component; the costliest in use cost a few hundred.
const (
	maxExpression = 4 << 10   // bytes
	maxDepthCEL   = 64        // of the expression
	maxCost       = 20_000    // CEL's units, of one evaluation
	maxMemory     = 1 << 16   // CEL's units: elements and characters
	maxMessage    = 1 << 10   // bytes
	interruptRate = uint(100) // steps of a comprehension between looks at the context
)

// newEnv returns the language of rules: CEL with its standard library, of its
// macros only those that make no new lists, and the objects as types.
func newEnv() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "rules: %w", err)
	}
	opts := []cel.EnvOption{
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(provider{registry}),
		cel.StdLib(),
		cel.ClearMacros(),
		cel.Macros(cel.HasMacro, cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepthCEL),
		cel.ExpressionNestingDepthLimit(maxDepthCEL),
		cel.Function("format", cel.MemberOverload("string_format_list", []*cel.Type{cel.StringType, cel.ListType(cel.DynType)}, cel.StringType, cel.BinaryBinding(format))),
	}
	env, err := cel.NewCustomEnv(append(opts, severities()...)...)
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "rules: %w", err)
	}
	return env, nil
}

// languages are the environments by what a rule is for.
type languages map[string]*cel.Env

// get returns the language for rules of each, or nil if there is nothing of that
// name. It is made at first use: it costs more than compiling a rule.
func (l languages) get(each string) (*cel.Env, error) {
	var vars []cel.EnvOption
	switch each {
	case eachFinding:
		vars = append(vars, cel.Variable("finding", findingType))
		fallthrough
	case eachComponent:
		vars = append(vars, cel.Variable("component", componentType))
		fallthrough
	case eachImage:
		vars = append(vars, cel.Variable("image", imageType))
	default:
		return nil, nil
	}
	if l[each] != nil {
		return l[each], nil
	}
	if l[""] == nil {
		base, err := newEnv()
		if err != nil {
			return nil, err
		}
		l[""] = base
	}
	env, err := l[""].Extend(vars...)
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "rules: %w", err)
	}
	l[each] = env
	return env, nil
}

// compileRule checks and compiles a rule, and notes every mistake.
func (d *decoder) compileRule(path string, r *Rule, l languages) {
	env, err := l.get(r.Each)
	if err != nil {
		d.fail(path, "%v", err)
		return
	}
	if env == nil {
		d.fail(join(path, "each"), "rule %q: want finding, component or image, got %q", r.ID, r.Each)
		return
	}
	var scans bool
	r.deny, scans = d.compile(join(path, "deny"), r.ID, env, r.Deny, cel.BoolType)
	r.usesScan = scans || r.Each != eachImage
	if r.MessageExpression != "" {
		r.message, scans = d.compile(join(path, "messageExpression"), r.ID, env, r.MessageExpression, cel.StringType)
		r.usesScan = r.usesScan || scans
	}
}

// compile returns the program of one expression, which must give a want, and
// whether it asks for what only a scan tells.
func (d *decoder) compile(path, id string, env *cel.Env, text string, want *cel.Type) (_ cel.Program, usesScan bool) {
	if len(text) > maxExpression {
		d.fail(path, "rule %q: longer than %d bytes", id, maxExpression)
		return nil, false
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			d.fail(path, "rule %q: line %d, character %d of the expression: %s", id, e.Location.Line(), e.Location.Column()+1, e.Message)
		}
		return nil, false
	}
	if !checked.OutputType().IsExactType(want) {
		d.fail(path, "rule %q: gives %s, want %s", id, checked.OutputType(), want)
		return nil, false
	}
	for _, mistake := range checkWords(checked) {
		d.fail(path, "rule %q: %s", id, mistake)
	}
	program, err := env.Program(checked, cel.CostLimit(maxCost), cel.MemoryLimit(maxMemory), cel.InterruptCheckFrequency(interruptRate), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		d.fail(path, "rule %q: %v", id, err)
		return nil, false
	}
	return program, asksForScan(checked)
}

// denies evaluates the rule for one subject.
func (r *Rule) denies(ctx context.Context, s *scope) (bool, error) {
	v, _, err := r.deny.ContextEval(ctx, s)
	if err != nil {
		return false, fault.Errorf(fault.Denied, "rule %q could not be evaluated: %w", r.ID, err)
	}
	yes, ok := v.Value().(bool)
	if !ok {
		return false, fault.Errorf(fault.Denied, "rule %q could not be evaluated: it gave no yes or no", r.ID)
	}
	return yes, nil
}

// text returns what the rule says about one subject that it denies.
func (r *Rule) text(ctx context.Context, s *scope) string {
	if r.message != nil {
		if v, _, err := r.message.ContextEval(ctx, s); err == nil {
			if text, ok := v.Value().(string); ok && text != "" {
				return text[:min(len(text), maxMessage)]
			}
		}
	}
	if r.Message != "" {
		return r.Message
	}
	return fmt.Sprintf("%s is true", strings.Join(strings.Fields(r.Deny), " "))
}
