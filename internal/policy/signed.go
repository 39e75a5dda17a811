package policy

import (
	"fmt"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/verdict"
)

// judge says whether enough roles name the digest (TAP 3).
func (s *Signed) judge(now time.Time, f *Facts) verdict.Reason {
	switch {
	case f.Local:
		return verdict.Reason{Rule: ruleSigned, Outcome: verdict.NotApplicable, Message: "nobody can sign an image that no registry named"}
	case f.Publisher == "":
		r := deny(ruleSigned, verdict.Evidence, "the policy knows no publisher for %q, so nobody's keys could be demanded", f.GUN)
		r.Hint = fmt.Sprintf("plimsoll trust pin %s shows the keys to write into the policy", f.GUN)
		return r
	case f.SignedErr != nil:
		return Failed(ruleSigned, f.SignedErr)
	case (f.Foreign == nil || !f.Expires.IsZero()) && !now.Before(f.Expires):
		return deny(ruleSigned, verdict.Evidence, "the signatures expired on %s", f.Expires.UTC().Format(time.RFC3339))
	}
	var agreed [][]string // the signers of each role that names the digest
	var lines []string
	differ, unknown, hint := 0, 0, ""
	for _, role := range s.Roles {
		d, err := f.Roles[role], f.RoleErrs[role]
		switch {
		case err != nil: // broken or expired: it counts as missing, and not in silence
			if classOf(err) == verdict.Unavailable {
				unknown++
			}
			lines = append(lines, fmt.Sprintf("what %s says is not known: %v", role, err))
			hint = fault.HintOf(err)
		case d == "":
			lines = append(lines, f.unnamed(role)...)
		case d == f.Digest:
			agreed = append(agreed, f.Signers[role])
			lines = append(lines, fmt.Sprintf("%s names %s", role, d))
		default:
			differ++
			lines = append(lines, fmt.Sprintf("%s names another digest: %s", role, d))
		}
	}
	agree := distinct(agreed)
	if agree < len(agreed) {
		lines = append(lines, "one key may stand for one role only: a key that signed for several counts once")
	}
	r := allow(ruleSigned, "signed by %d of the roles %s, %d demanded", agree, strings.Join(s.Roles, ", "), s.Threshold)
	if f.Foreign != nil {
		r.Message += ", in a format without freshness"
	}
	if agree < s.Threshold || s.Threshold < 1 {
		r = deny(ruleSigned, f.classOfForeign(s.Roles), "%d of the roles %s name %s, %d are demanded", agree, strings.Join(s.Roles, ", "), f.Digest, s.Threshold)
		if r.Hint = f.hintOfForeign(s.Roles); hint != "" {
			r.Hint = hint
		}
		if agree+unknown >= s.Threshold {
			r.Class = verdict.Unavailable // it could not be looked at
		}
		if differ > 0 {
			r.Message = fmt.Sprintf("what is served, %s, is not what was signed: %s", f.Digest, r.Message)
		}
	}
	r.Evidence = append(lines, f.lacking(agreed)...)
	return r
}

// distinct returns how many of the roles can be counted if each must have a
// signer of its own: thresholds count distinct public keys, so one key that two
// roles were given is one voice (the largest matching of roles and keys, by
// augmenting paths).
func distinct(signers [][]string) int {
	holds := map[string]int{} // key → role that it stands for
	var place func(role int, tried map[string]bool) bool
	place = func(role int, tried map[string]bool) bool {
		for _, k := range signers[role] {
			if tried[k] {
				continue
			}
			tried[k] = true
			if other, taken := holds[k]; !taken || place(other, tried) {
				holds[k] = role
				return true
			}
		}
		return false
	}
	n := 0
	for role := range signers {
		if place(role, map[string]bool{}) {
			n++
		}
	}
	return n
}
