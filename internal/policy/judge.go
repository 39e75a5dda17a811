package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/verdict"
)

// The names of reasons that are not those of a rule. The exported ones are
// given by whoever gathers the facts: there is no policy, the image could not be opened, the
// profile cannot be enforced, the decision could not be recorded.
const (
	ReasonImage     = "image"
	ReasonPolicy    = "policy"
	ReasonProfile   = "profile"
	ReasonRecorded  = "recorded"
	ruleEnvironment = "environment"
	ruleTeam        = "team"
	ruleLocal       = "local"
	ruleSigned      = "signed"
	ruleHardware    = "hardware"
	ruleScanned     = "scanned"
)

// futureLimit is how far advisories may seem to come from the future before
// they are taken for what they are: wrong.
const futureLimit = time.Hour

// Judge returns one reason for each thing that environment demands of the image.
// The image may run if none of them is denied. now must be the moment of the
// decision.
func (d *Document) Judge(ctx context.Context, now time.Time, environment string, f *Facts) []verdict.Reason {
	e := d.Environments[environment]
	if e == nil {
		return []verdict.Reason{d.unknownEnvironment(environment)}
	}
	needs, _ := d.Needs(environment, f.Local)
	var reasons []verdict.Reason
	if f.Local {
		reasons = append(reasons, e.judgeLocal())
	}
	if e.Signed != nil {
		reasons = append(reasons, e.Signed.judge(now, f))
	}
	if p := d.Publishers[f.Publisher]; p != nil && p.Hardware != nil && needs.Signatures {
		reasons = append(reasons, p.Hardware.judge(f))
	}
	if needs.Scan {
		reasons = append(reasons, e.judgeScan(now, f))
	}
	for _, r := range e.Rules {
		reasons = append(reasons, e.judgeRule(ctx, now, r, f))
	}
	return reasons
}

func (d *Document) unknownEnvironment(name string) verdict.Reason {
	r := deny(ruleEnvironment, verdict.Rule, "the policy has no environment %q", name)
	if name == "" {
		r.Message = "no environment was named, and the policy gives this host none"
	}
	if names := slices.Sorted(maps.Keys(d.Environments)); len(names) > 0 {
		r.Hint = fmt.Sprintf("the policy has the environments %q: name one with --environment", names)
	}
	return r
}

func (e *Environment) judgeLocal() verdict.Reason {
	if e.Local == "allow" {
		return allow(ruleLocal, "images that no registry named are allowed here")
	}
	return deny(ruleLocal, verdict.Rule, "no registry named this image, and local images are not allowed here")
}

// classOf returns the class of a denial that rests on err.
func classOf(err error) verdict.Class {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Untrusted, fault.Denied:
		return verdict.Evidence
	case fault.Internal, fault.Usage, fault.Invalid, fault.Conflict, fault.Unavailable:
		return verdict.Unavailable
	}
	return verdict.Unavailable
}

// Failed returns the denial that err stands for.
func Failed(rule string, err error) verdict.Reason {
	r := deny(rule, classOf(err), "%v", err)
	r.Hint = fault.HintOf(err)
	return r
}

func deny(rule string, class verdict.Class, format string, args ...any) verdict.Reason {
	return verdict.Reason{Rule: rule, Outcome: verdict.Denied, Class: class, Message: fmt.Sprintf(format, args...)}
}

func allow(rule, format string, args ...any) verdict.Reason {
	return verdict.Reason{Rule: rule, Outcome: verdict.Allowed, Message: fmt.Sprintf(format, args...)}
}
