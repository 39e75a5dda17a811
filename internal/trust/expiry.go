package trust

import "time"

// mostNotice is the most notice that is given of an expiry: what is signed once a
// year by people who must meet takes weeks.
const mostNotice = 30 * day

// Life returns how long what role signs is valid.
func (e Expiries) Life(role string) time.Duration { return e.of(role) }

// Notice returns how long before its expiry a role's metadata is called due: a
// fifth of its life, 30 days at most.
func (e Expiries) Notice(role string) time.Duration { return min(mostNotice, e.of(role)/5) }

// Due reports whether snapshot or timestamp of s have less than half of their
// life left, and so are to be signed again.
func (e Expiries) Due(s *Status) bool {
	for _, r := range s.Roles {
		if (r.Role == RoleSnapshot || r.Role == RoleTimestamp) && r.Expires.Sub(s.Now) < e.of(r.Role)/2 {
			return true
		}
	}
	return false
}
