package policy

import (
	"reflect"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	celref "cel.dev/cel-go/common/types/ref"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
	"plimsoll/internal/finding"
	"plimsoll/internal/inventory"
)

// What a rule can ask about. The fields of each are the variables that rules
// use, and their documentation is that of [Rule].
var (
	findingType   = cel.ObjectType("Finding")
	componentType = cel.ObjectType("Component")
	imageType     = cel.ObjectType("Image")
	stringList    = cel.ListType(cel.StringType)
)

// subject is a finding as a rule sees it at a moment.
type subject struct {
	*finding.Finding
	now time.Time
}

// always is how long a fix has been out whose date nobody knows: a rule that
// gives time to install a fix must not give it for ever.
const always = 200 * 365 * 24 * time.Hour

// fixedFor returns for how long a fixed version has been available; nothing
// where there is none.
func (s *subject) fixedFor() time.Duration {
	switch {
	case s.Fixed == "":
		return 0
	case s.FixedSince.IsZero():
		return always
	}
	return max(s.now.Sub(s.FixedSince), 0)
}

var objects = map[string]map[string]*types.FieldType{
	"Finding": {
		"id":        field(cel.StringType, func(s *subject) any { return s.ID }),
		"advisory":  field(cel.StringType, func(s *subject) any { return s.Advisory }),
		"aliases":   field(stringList, func(s *subject) any { return s.Aliases }),
		"severity":  field(cel.IntType, func(s *subject) any { return int64(s.Severity) }),
		"score":     field(cel.DoubleType, func(s *subject) any { return s.Score }),
		"fixed":     field(cel.StringType, func(s *subject) any { return s.Fixed }),
		"fixedFor":  field(cel.DurationType, func(s *subject) any { return s.fixedFor() }),
		"exploited": field(cel.BoolType, func(s *subject) any { return s.Exploited }),
		"source":    field(cel.StringType, func(s *subject) any { return s.Source }),
		"component": field(componentType, func(s *subject) any { return &s.Component }),
	},
	"Component": {
		"kind":      field(cel.StringType, func(c *inventory.Component) any { return string(c.Kind) }),
		"type":      field(cel.StringType, func(c *inventory.Component) any { return string(c.Type) }),
		"namespace": field(cel.StringType, func(c *inventory.Component) any { return c.Namespace }),
		"name":      field(cel.StringType, func(c *inventory.Component) any { return c.Name }),
		"version":   field(cel.StringType, func(c *inventory.Component) any { return c.Version }),
		"arch":      field(cel.StringType, func(c *inventory.Component) any { return c.Arch }),
		"source":    field(cel.StringType, func(c *inventory.Component) any { return c.SourceName }),
		"relation":  field(cel.StringType, func(c *inventory.Component) any { return string(c.Relation) }),
		"licences":  field(stringList, func(c *inventory.Component) any { return c.Licences }),
		"layers":    field(cel.ListType(cel.IntType), func(c *inventory.Component) any { return layers(c) }),
		"paths": field(stringList, func(c *inventory.Component) any {
			return evidence(c, func(e inventory.Evidence) string { return e.Path })
		}),
		"methods": field(stringList, func(c *inventory.Component) any {
			return evidence(c, func(e inventory.Evidence) string { return e.Method })
		}),
	},
	"Image": {
		"name":          field(cel.StringType, func(f *Facts) any { return f.Name }),
		"gun":           field(cel.StringType, func(f *Facts) any { return string(f.GUN) }),
		"digest":        field(cel.StringType, func(f *Facts) any { return string(f.Digest) }),
		"platform":      field(cel.StringType, func(f *Facts) any { return f.Platform }),
		"local":         field(cel.BoolType, func(f *Facts) any { return f.Local }),
		"distro":        field(cel.StringType, func(f *Facts) any { return f.distro().ID }),
		"distroVersion": field(cel.StringType, func(f *Facts) any { return f.distro().VersionID }),
	},
}

func layers(c *inventory.Component) []int64 {
	out := make([]int64, 0, len(c.Evidence))
	for _, e := range c.Evidence {
		if e.End == nil { // it is there
			out = append(out, int64(e.Index))
		}
	}
	return out
}

func evidence(c *inventory.Component, get func(inventory.Evidence) string) []string {
	out := make([]string, 0, len(c.Evidence))
	for _, e := range c.Evidence {
		if e.End == nil { // it is there
			out = append(out, get(e))
		}
	}
	return out
}

// field describes one field of an object whose Go value is a *T.
func field[T any](t *cel.Type, get func(*T) any) *types.FieldType {
	return &types.FieldType{
		Type: t,
		IsSet: func(o any) bool {
			x, ok := o.(*T)
			return ok && !reflect.ValueOf(get(x)).IsZero()
		},
		GetFrom: func(o any) (any, error) {
			x, ok := o.(*T)
			if !ok {
				return nil, fault.Errorf(fault.Internal, "%T has no such field", o)
			}
			return get(x), nil
		},
	}
}

// provider tells CEL about the objects; the rest is CEL's own.
type provider struct{ *types.Registry }

// FindStructType returns the type of an object.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := objects[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return nil, false
}

// FindStructFieldNames returns the fields of an object.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := objects[name]
	var names []string
	for f := range fields {
		names = append(names, f)
	}
	return names, ok
}

// FindStructFieldType returns one field of an object.
func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	f, ok := objects[name][field]
	return f, ok
}

// NewValue refuses: a rule looks at what is there and makes nothing.
func (p provider) NewValue(name string, _ map[string]celref.Val) celref.Val {
	return types.NewErr("a rule cannot make a %s", name)
}

// severities are the constants that finding.severity is compared with.
func severities() []cel.EnvOption {
	var opts []cel.EnvOption
	for s := advisory.Unknown; s <= advisory.Critical; s++ {
		opts = append(opts, cel.Constant("severity."+s.String(), cel.IntType, types.Int(s)))
	}
	return opts
}

// scope is the variables of one evaluation.
type scope struct {
	finding   *subject
	component *inventory.Component
	image     *Facts
}

// ResolveName returns a variable.
func (s *scope) ResolveName(name string) (any, bool) {
	switch name {
	case "finding":
		return s.finding, s.finding != nil
	case "component":
		return s.component, s.component != nil
	case "image":
		return s.image, s.image != nil
	}
	return nil, false
}

// Parent returns nil: there is no other scope.
func (s *scope) Parent() cel.Activation { return nil }
