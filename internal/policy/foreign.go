package policy

import (
	"fmt"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// Lacks returns, one sentence each, what a signature of another format than TUF
// does not say. People read it wherever such a signature is accepted.
func Lacks(format string) []string {
	return []string{
		"no freshness: a " + format + " signature does not say that nothing newer was held back",
		"no protection against rollback: an older image that was signed once is accepted as well",
		"no name: the signature is of a digest, not of a tag or a repository",
		"no threshold: one key is enough for each role",
	}
}

// unnamed returns why a role does not name the image.
func (f *Facts) unnamed(role string) []string {
	if f.Foreign == nil {
		return []string{fmt.Sprintf("%s does not name this image", role)}
	}
	var lines []string
	for _, x := range f.Foreign {
		if x.Role == role {
			lines = append(lines, fmt.Sprintf("%s, by %s: %v", role, x.Format, x.Err))
		}
	}
	if lines == nil {
		lines = []string{fmt.Sprintf("no entry of what publisher %q may be accepted by stands for %s", f.Publisher, role)}
	}
	return lines
}

// classOfForeign is the class of a denial for too few of roles: a signature that
// could not be looked at is not one that is missing.
func (f *Facts) classOfForeign(roles []string) verdict.Class {
	for _, x := range f.Foreign {
		if x.Err != nil && slices.Contains(roles, x.Role) && classOf(x.Err) == verdict.Unavailable {
			return verdict.Unavailable
		}
	}
	return verdict.Evidence
}

// hintOfForeign is the first hint of why a signature for one of roles was not
// accepted.
func (f *Facts) hintOfForeign(roles []string) string {
	for _, x := range f.Foreign {
		if h := fault.HintOf(x.Err); h != "" && slices.Contains(roles, x.Role) {
			return h
		}
	}
	return ""
}

// lacking returns what the accepted signatures are and what they do not say.
func (f *Facts) lacking(agreed [][]string) []string {
	var lines []string
	said := map[string]bool{}
	for _, x := range f.Foreign {
		if x.Err != nil || len(agreed) == 0 {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s is a %s signature by %s", x.Role, x.Format, x.Signer))
		if !said[x.Format] {
			lines = append(lines, Lacks(x.Format)...)
		}
		said[x.Format] = true
	}
	return lines
}

// SetForeign writes down what was found for each entry of a publisher's Accept.
// expires is when the first of the accepted signatures ends, zero if none does.
func (f *Facts) SetForeign(found []Foreign, expires time.Time) {
	f.Foreign, f.Expires = found, expires
	f.Roles, f.Signers = map[string]ref.Digest{}, map[string][]string{}
	for _, x := range found {
		if x.Err == nil {
			f.Roles[x.Role] = f.Digest
			f.Signers[x.Role] = append(f.Signers[x.Role], x.Key)
		}
	}
}
