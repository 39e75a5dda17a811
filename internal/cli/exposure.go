package cli

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/ref"
)

func printExposure(w io.Writer, v exposureState) {
	fmt.Fprintf(w, "key %s (%s, ID %s)\n\nIt could sign:\n", v.Fingerprint, v.Type, v.KeyID)
	if len(v.Roles) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
	for _, r := range v.Roles {
		fmt.Fprintf(w, "  %s\n", printable(r.words()))
	}
	fmt.Fprintln(w, "\nIt did sign, of what is there:")
	if len(v.Signed) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
	for _, s := range v.Signed {
		fmt.Fprintf(w, "  %s %d, valid until %s%s\n", printable(s.Role), s.Version, date(s.Expires), map[bool]string{true: "; others signed it since, with all that the key may have signed before"}[s.Since])
		for _, n := range s.Names {
			fmt.Fprintf(w, "    %s = %s\n", oneLine(n.Name), n.Digest)
		}
		for _, role := range s.Delegations {
			fmt.Fprintf(w, "    delegates to %s\n", printable(role))
		}
	}
	printRecovery(w, v)
}

// words says what the key could do as the role, and since when.
func (r exposedState) words() string {
	text := r.Role + ": alone"
	if !r.Alone {
		text = fmt.Sprintf("%s: only together with %d of %d others", r.Role, r.Threshold-1, r.Keys-1)
	}
	switch {
	case r.LastRoot != 0:
		text += fmt.Sprintf(", from root %d to root %d; not any more", r.FirstRoot, r.LastRoot)
	case r.FirstRoot != 0:
		text += fmt.Sprintf(", since root %d", r.FirstRoot)
	}
	if len(r.Paths) > 0 {
		text += fmt.Sprintf(", names like %q", r.Paths)
	}
	return text
}

func printRecovery(w io.Writer, v exposureState) {
	if len(v.Needs) == 0 {
		fmt.Fprintln(w, "\nNo role has it any more: nothing is to be done.")
		return
	}
	fmt.Fprintln(w, "\nTo take it away:")
	possible := true
	for _, n := range v.Needs {
		if n.WithIt > 0 {
			fmt.Fprintf(w, "  a new %s takes %d signatures, and without this key there are only %d others: it must be signed with this key too\n", n.Document, n.Takes, len(n.Of))
			possible = false
			continue
		}
		fmt.Fprintf(w, "  a new %s takes %d of these:\n", n.Document, n.Takes)
		for _, k := range n.Of {
			fmt.Fprintf(w, "    %s\n", k)
		}
	}
	fmt.Fprintf(w, "\n  plimsoll trust compromised %s %s --lost|--stolen --replace KEY\n", v.GUN, v.Fingerprint[:len("sha256:")+16])
	if !possible {
		fmt.Fprintln(w, "\nIf this key is gone, the repository cannot go on under these root keys: start it anew, and have everybody pin the new ones.")
	}
}

func printTakenAway(w io.Writer, v exposureState) {
	if v.Done {
		fmt.Fprintf(w, "%s: no role has key %s any more\n", v.GUN, v.Fingerprint)
	} else {
		printWords(w, v.Ceremony.Words)
		fmt.Fprintln(w)
		printNeeds(w, *v.Ceremony)
		fmt.Fprintf(w, "\nKeys are needed that are not here. What they are to sign is written to %s:\n", printable(v.Ceremony.File))
		fmt.Fprintf(w, "each holder runs: plimsoll trust ceremony sign %s --key URI\n", printable(v.Ceremony.File))
	}
	if len(v.Again) == 0 {
		return
	}
	fmt.Fprintf(w, "\nNot signed again, since somebody else may have signed it. What of it is yours, sign again%s:\n", map[bool]string{false: " when the ceremony is published"}[v.Done])
	for _, a := range v.Again {
		for _, name := range a.Names {
			fmt.Fprintf(w, "  %s\n", printable(again(v, a.Role, name)))
		}
	}
}

// word is what may stand in a command that is shown to be typed.
var word = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,79}$`)

// again returns how to get back what a role said. The names come from metadata
// that a thief may have signed: one that is not a tag, a digest or a role's
// name is shown quoted, and in no command.
func again(v exposureState, role, name string) string {
	for _, s := range v.Signed {
		if s.Role != role || !slices.Contains(s.Delegations, name) {
			continue
		}
		if !word.MatchString(name) {
			return fmt.Sprintf("%q, a role of %q", name, role)
		}
		return fmt.Sprintf("plimsoll trust delegate %s %s --key KEY", v.GUN, name)
	}
	image := string(v.GUN) + ":" + name
	if hex, ok := strings.CutPrefix(name, "sha256/"); ok {
		image = string(v.GUN) + "@sha256:" + hex
	}
	if r, err := ref.Parse(image); err != nil || r.GUN() != v.GUN || !word.MatchString(role) {
		return fmt.Sprintf("%q, by role %q", name, role)
	}
	return fmt.Sprintf("plimsoll sign %s --as %s", image, role)
}
