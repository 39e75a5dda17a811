package piv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// survey is which tokens there are.
type survey struct {
	matching []identity
	others   []identity
	problems []error // readers with something in them that cannot be used
}

// number is what pcscd puts behind a reader's name: its number and the slot's.
var number = regexp.MustCompile(` [0-9A-F]{2} [0-9A-F]{2}$`)

// means reports whether u, as far as it speaks of tokens, means i.
func (u uri) means(i identity) bool {
	if u.named && u.serial != i.serial {
		return false
	}
	return u.reader == "" || u.reader == i.reader || u.reader == number.ReplaceAllString(i.reader, "")
}

// survey looks at all tokens that are there.
func (p *Provider) survey(ctx context.Context, u uri) (_ *survey, err error) {
	d, err := dial(ctx, p.config.Socket)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	readers, err := d.readers(ctx)
	if err != nil {
		return nil, err
	}
	s := &survey{}
	for _, r := range readers {
		if !r.present {
			continue
		}
		i, err := p.look(ctx, d, r.name)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("look for PIV tokens: %w", ctx.Err())
		case err != nil:
			s.problems = append(s.problems, fmt.Errorf("reader %q: %w", r.name, err))
		case u.means(i):
			s.matching = append(s.matching, i)
		default:
			s.others = append(s.others, i)
		}
	}
	for _, all := range [][]identity{s.matching, s.others} {
		slices.SortFunc(all, func(a, b identity) int {
			return cmp.Or(cmp.Compare(a.serial, b.serial), cmp.Compare(a.reader, b.reader))
		})
	}
	return s, nil
}

// look asks the token in a reader who it is. A token that this process holds
// already is not asked again.
func (p *Provider) look(ctx context.Context, d *daemon, name string) (i identity, err error) {
	if i, ok := p.held(name); ok {
		return i, nil
	}
	l, err := d.open(ctx, name, func() {
		p.notify(fmt.Sprintf("waiting for another program that uses the token in %q", name))
	})
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, l.end(ctx, leave)) }()
	return l.identify(ctx, name)
}

func (p *Provider) held(reader string) (identity, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tokens {
		if t.reader == reader {
			return t.identity, true
		}
	}
	return identity{}, false
}

// choose returns the one token that u means, for release.
func (p *Provider) choose(ctx context.Context, u uri) (*token, error) {
	s, err := p.survey(ctx, u)
	if err != nil {
		return nil, err
	}
	switch len(s.matching) {
	case 1:
		return p.acquire(s.matching[0]), nil
	case 0:
		return nil, s.none(u)
	}
	err = fault.Errorf(fault.Invalid, "%d tokens match %q: %s", len(s.matching), u, names(s.matching))
	return nil, fault.Hint(err, "say which: %s", s.matching[0].uri(u.slot))
}

func (s *survey) none(u uri) error {
	seen := "there is no PIV token"
	if len(s.others) > 0 {
		seen = "there is " + names(s.others)
	}
	for _, err := range s.problems {
		seen += fmt.Sprintf("; %v", err)
	}
	err := fault.Errorf(fault.Unavailable, "no token matches %q: %s", u, seen)
	for _, problem := range s.problems {
		if hint := fault.HintOf(problem); hint != "" {
			return fault.Hint(err, "%s", hint)
		}
	}
	return fault.Hint(err, "put the token in, or see what is there: plimsoll key list piv:")
}

func names(all []identity) string {
	var text []string
	for _, i := range all {
		text = append(text, i.String())
	}
	return strings.Join(text, ", ")
}
