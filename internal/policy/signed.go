package policy

import (
	"fmt"
	"strings"
	"time"

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
	case !now.Before(f.Expires):
		return deny(ruleSigned, verdict.Evidence, "the signatures expired on %s", f.Expires.UTC().Format(time.RFC3339))
	}
	agree, differ := 0, 0
	var lines []string
	for _, role := range s.Roles {
		switch d := f.Roles[role]; d {
		case "":
			lines = append(lines, fmt.Sprintf("%s does not name this image", role))
		case f.Digest:
			agree++
			lines = append(lines, fmt.Sprintf("%s names %s", role, d))
		default:
			differ++
			lines = append(lines, fmt.Sprintf("%s names another digest: %s", role, d))
		}
	}
	r := allow(ruleSigned, "signed by %d of the roles %s, %d demanded", agree, strings.Join(s.Roles, ", "), s.Threshold)
	if agree < s.Threshold || s.Threshold < 1 {
		r = deny(ruleSigned, verdict.Evidence, "%d of the roles %s name %s, %d are demanded", agree, strings.Join(s.Roles, ", "), f.Digest, s.Threshold)
		if differ > 0 {
			r.Message = fmt.Sprintf("what is served, %s, is not what was signed: %s", f.Digest, r.Message)
		}
	}
	r.Evidence = lines
	return r
}
