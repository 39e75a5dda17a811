package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/verdict"
)

// The touch policies that can be demanded: a touch for each signature, or one
// that may serve for a few seconds.
const (
	touchAlways = "always"
	touchCached = "cached"
)

// firmwareForm is "at least this version", as in ">=5.7".
var firmwareForm = regexp.MustCompile(`^>=([0-9]{1,3})(?:\.([0-9]{1,3}))?(?:\.([0-9]{1,3}))?$`)

func (d *decoder) checkHardware(path string, h *Hardware) {
	if h == nil {
		return
	}
	if h.Attestation != "required" {
		d.fail(join(path, "attestation"), `can only be "required": without it nothing is known about a key's hardware`)
	}
	if h.Touch != "" && h.Touch != touchAlways && h.Touch != touchCached {
		d.fail(join(path, "touch"), `%q: want "always", a touch for each signature, or "cached", one for those of 15 seconds`, h.Touch)
	}
	if h.Firmware != "" && !firmwareForm.MatchString(h.Firmware) {
		d.fail(join(path, "firmware"), `%q: want a lowest version, as in ">=5.7"`, h.Firmware)
	}
	for i, name := range h.Roots {
		if !identifier.MatchString(name) {
			d.fail(fmt.Sprintf("%s.roots[%d]", path, i), "%q is no name of a maker", name)
		}
	}
}

// judge demands the hardware of every key of the root: one that lives elsewhere
// could stand in for one that does not.
func (h *Hardware) judge(f *Facts) verdict.Reason {
	switch {
	case f.SignedErr != nil:
		return deny(ruleHardware, classOf(f.SignedErr), "nothing is known of the root's keys, and publisher %q must have hardware keys", f.Publisher)
	case len(f.RootKeys) == 0:
		return deny(ruleHardware, verdict.Evidence, "no key of the root is known, and publisher %q must have hardware keys", f.Publisher)
	}
	var lacking []string
	for i := range f.RootKeys {
		if lack := h.lack(&f.RootKeys[i]); lack != "" {
			lacking = append(lacking, fmt.Sprintf("root key %s: %s", f.RootKeys[i].Fingerprint, lack))
		}
	}
	if len(lacking) == 0 {
		return allow(ruleHardware, "tokens prove to hold all %d keys of the root", len(f.RootKeys))
	}
	r := deny(ruleHardware, verdict.Evidence, "%d of %d keys of the root are not in hardware as publisher %q must have them", len(lacking), len(f.RootKeys), f.Publisher)
	r.Evidence = lacking
	r.Hint = fmt.Sprintf("the publisher rotates the root to keys that their tokens made and attest: plimsoll trust rotate %s root --key piv:slot=9c", f.GUN)
	return r
}

// lack returns what k lacks of h, "" if nothing.
func (h *Hardware) lack(k *RootKey) string {
	t := k.Token
	switch {
	case k.Problem != nil:
		return fmt.Sprintf("its attestation does not count: %v", k.Problem)
	case t == nil:
		return "it is not attested: a key in a file, or in a token that cannot attest (SoftHSM, most HSMs)"
	case len(h.Roots) > 0 && !slices.Contains(h.Roots, t.Maker):
		return fmt.Sprintf("its token is vouched for by %q, not by one of %q", t.Maker, h.Roots)
	case h.Touch == touchAlways && t.Touch != touchAlways, h.Touch == touchCached && t.Touch != touchAlways && t.Touch != touchCached:
		return fmt.Sprintf("its token wants a touch %q, not %q", t.Touch, h.Touch)
	case !newEnough(t.Firmware, h.Firmware):
		return fmt.Sprintf("its token has firmware %s, not %s", t.Firmware, h.Firmware)
	}
	return ""
}

// newEnough reports whether a version meets a demand such as ">=5.7"; what is
// not a version meets none.
func newEnough(version, demand string) bool {
	if demand == "" {
		return true
	}
	m := firmwareForm.FindStringSubmatch(demand)
	have := strings.Split(version, ".")
	if m == nil || len(have) != 3 {
		return false
	}
	for i, want := range m[1:] {
		w, _ := strconv.Atoi(want) // "" is 0
		n, err := strconv.Atoi(have[i])
		if err != nil || n < 0 {
			return false
		}
		if n != w {
			return n > w
		}
	}
	return true
}
