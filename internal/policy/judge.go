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
	ReasonCached    = "cached"      // it was decided a moment ago
	ReasonKept      = "unreachable" // [WhenUnreachable]
	ruleEnvironment = "environment"
	ruleTeam        = "team"
	ruleLocal       = "local"
	ruleBuilds      = "builds"
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

// JudgeLocal says whether environment lets images run that no registry named. It
// is a part of what Judge says of them, and needs no facts.
func (d *Document) JudgeLocal(environment string) verdict.Reason {
	if e := d.Environments[environment]; e != nil {
		return e.judgeLocal()
	}
	return d.unknownEnvironment(environment)
}

// JudgeBuild says whether a step of a build may run in environment on layers that
// were made here, on the bottom of which lies an image that is allowed.
func (d *Document) JudgeBuild(environment string) verdict.Reason {
	e := d.Environments[environment]
	switch {
	case e == nil:
		return d.unknownEnvironment(environment)
	case e.Builds == nil:
		r := deny(ruleBuilds, verdict.Rule, "nothing may be built in the environment %q", environment)
		r.Hint = "builds: {from: allowed} lets build steps run on images that are allowed"
		return r
	}
	return allow(ruleBuilds, "build steps may run on images that are allowed")
}

// Until returns when what Judge said at now ends to hold by itself: the evidence
// expires, the advisories get too old, or an exception ends. It is zero if
// nothing ends. Rules that look at the clock (finding.fixedFor) are not foreseen.
func (d *Document) Until(environment string, now time.Time, f *Facts) time.Time {
	var ends []time.Time
	if e := d.Environments[environment]; e != nil {
		if e.Signed != nil && !f.Local {
			ends = append(ends, f.Expires)
		}
		if e.Scanned != nil && !f.AsOf.IsZero() {
			ends = append(ends, f.AsOf.Add(e.Scanned.AdvisoriesWithin.Duration))
		}
		for i := range e.Exceptions {
			if x := &e.Exceptions[i]; x.counts(now) {
				ends = append(ends, x.Until.AddDate(0, 0, 1))
			}
		}
	}
	ends = slices.DeleteFunc(ends, time.Time.IsZero)
	if len(ends) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(ends, time.Time.Compare)
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
