//go:build cgo

package pkcs11

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
)

// token is a token that is in a slot of a module.
type token struct {
	module *module
	slot   uint
	info   pkcs11.TokenInfo
	reader pkcs11.SlotInfo
}

// String names the token for messages.
func (t token) String() string {
	return fmt.Sprintf("token %q (serial %q)", t.info.Label, t.info.SerialNumber)
}

// where names the token for [key.Info].
func (t token) where() string {
	return fmt.Sprintf("token %s, serial %s", t.info.Label, t.info.SerialNumber)
}

func (t token) has(flag uint) bool { return t.info.Flags&flag != 0 }

// attributes are what a URI can say of t.
func (t token) attributes() map[string]string {
	lib := t.module.info
	return map[string]string{
		"token": t.info.Label, "manufacturer": t.info.ManufacturerID, "serial": t.info.SerialNumber, "model": t.info.Model,
		"library-manufacturer": lib.ManufacturerID, "library-description": lib.LibraryDescription,
		"library-version":   fmt.Sprintf("%d.%d", lib.LibraryVersion.Major, lib.LibraryVersion.Minor),
		"slot-manufacturer": t.reader.ManufacturerID, "slot-description": t.reader.SlotDescription,
	}
}

// matches reports whether u, as far as it speaks of tokens, means t.
func (t token) matches(u uri) bool {
	for name, value := range t.attributes() {
		if want, ok := u.path[name]; ok && want != strings.TrimRight(value, " \x00") {
			return false
		}
	}
	_, slot := u.path["slot-id"]
	return !slot || u.slot == t.slot
}

// namesToken reports whether u says which token it means.
func namesToken(u uri) bool {
	for _, name := range []string{"token", "serial", "slot-id"} {
		if _, ok := u.path[name]; ok {
			return true
		}
	}
	return false
}

// survey is what was seen on the way to a token. Whoever has it releases it.
type survey struct {
	provider *Provider
	modules  []*module
	matching []token
	others   []token // initialised, but not what the URI means
	blank    int     // not initialised
	problems []error // modules and slots that could not be looked at
}

// survey looks at all tokens that u may mean. It fails only if there is no module
// at all, or none of them works.
func (p *Provider) survey(ctx context.Context, u uri) (*survey, error) {
	paths, err := p.modulePaths(u)
	if err != nil {
		return nil, err
	}
	s := &survey{provider: p}
	for _, path := range paths {
		m, err := p.acquire(path)
		if err != nil {
			s.problems = append(s.problems, err)
			continue
		}
		s.modules = append(s.modules, m)
		err = m.call(ctx, func() {}, func() error { return s.look(m, u) })
		if ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("look for tokens: %w", ctx.Err()), s.release())
		}
		if err != nil {
			err = fault.Errorf(fault.Unavailable, "look for tokens with PKCS#11 module %q: %w", path, err)
			s.problems = append(s.problems, fault.Hint(err, "see that what the module needs is running: pcscd for cards and USB keys"))
		}
	}
	for _, tokens := range [][]token{s.matching, s.others} {
		slices.SortFunc(tokens, func(a, b token) int {
			return cmp.Or(cmp.Compare(a.info.Label, b.info.Label), cmp.Compare(a.info.SerialNumber, b.info.SerialNumber))
		})
	}
	if len(s.problems) >= len(paths) && len(s.matching)+len(s.others)+s.blank == 0 {
		return nil, errors.Join(s.problems[0], s.release())
	}
	return s, nil
}

func (s *survey) look(m *module, u uri) error {
	slots, err := m.ctx.GetSlotList(true)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		t := token{module: m, slot: slot}
		if t.info, err = m.ctx.GetTokenInfo(slot); err != nil {
			s.problems = append(s.problems, fmt.Errorf("slot %d: %w", slot, err))
			continue
		}
		if t.reader, err = m.ctx.GetSlotInfo(slot); err != nil {
			s.problems = append(s.problems, fmt.Errorf("slot %d: %w", slot, err))
			continue
		}
		switch {
		case !t.has(pkcs11.CKF_TOKEN_INITIALIZED):
			s.blank++
		case t.matches(u):
			s.matching = append(s.matching, t)
		default:
			s.others = append(s.others, t)
		}
	}
	return nil
}

// release ends the use of the modules; tokens in use hold theirs by themselves.
func (s *survey) release() error {
	var errs []error
	for _, m := range s.modules {
		errs = append(errs, s.provider.release(m))
	}
	return errors.Join(errs...)
}

// one returns the token that u means, if it is exactly one.
func (s *survey) one(u uri) (token, error) {
	switch len(s.matching) {
	case 1:
		return s.matching[0], nil
	case 0:
		return token{}, s.none(u)
	}
	err := fault.Errorf(fault.Invalid, "%d tokens match %q: %s", len(s.matching), u, names(s.matching))
	return token{}, fault.Hint(err, "say which: %s", s.distinct(u))
}

// distinct returns an example of a URI that means the first token alone.
func (s *survey) distinct(u uri) string {
	v := uri{path: map[string]string{"token": s.matching[0].info.Label, "serial": s.matching[0].info.SerialNumber}, query: map[string]string{}}
	for _, t := range s.matching[1:] {
		if t.info.SerialNumber == s.matching[0].info.SerialNumber {
			v.query["module-path"] = s.matching[0].module.path
		}
	}
	for _, name := range []string{"object", "id"} {
		if value, ok := u.path[name]; ok {
			v.path[name] = value
		}
	}
	return v.String()
}

func (s *survey) none(u uri) error {
	seen := "there is no initialised token"
	if len(s.others) > 0 {
		seen = "there is " + names(s.others)
	}
	if s.blank > 0 {
		seen += fmt.Sprintf("; not initialised: %d", s.blank)
	}
	for _, err := range s.problems {
		seen += fmt.Sprintf("; %v", err)
	}
	err := fault.Errorf(fault.Unavailable, "no token matches %q: %s", u, seen)
	return fault.Hint(err, "put the token in, or see what is there: plimsoll key list pkcs11:")
}

func names(tokens []token) string {
	const most = 8
	var all []string
	for i, t := range tokens {
		if i == most {
			all = append(all, fmt.Sprintf("%d more", len(tokens)-most))
			break
		}
		all = append(all, t.String())
	}
	return strings.Join(all, ", ")
}
