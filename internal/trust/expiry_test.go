package trust

import (
	"testing"
	"time"
)

func TestNotice(t *testing.T) {
	e := Expiries{RoleDelegated: 20 * day, RoleTimestamp: day}
	for role, want := range map[string]time.Duration{RoleRoot: 30 * day, "releases": 4 * day, RoleTimestamp: day / 5, RoleSnapshot: 7 * day / 5} {
		if got := e.Notice(role); got != want {
			t.Errorf("%s: %s, want %s", role, got, want)
		}
	}
}

func TestDue(t *testing.T) {
	e := Expiries{}
	at := func(snapshot, timestamp float64) *Status {
		life := func(days float64) RoleStatus {
			return RoleStatus{Expires: testTime.Add(time.Duration(days * float64(day)))}
		}
		s, ts, r := life(snapshot), life(timestamp), life(0)
		s.Role, ts.Role, r.Role = RoleSnapshot, RoleTimestamp, RoleRoot
		return &Status{Now: testTime, Roles: []RoleStatus{r, s, ts}}
	}
	for _, tt := range []struct {
		snapshot, timestamp float64
		want                bool
	}{{7, 14, false}, {3.6, 7.1, false}, {3.4, 14, true}, {7, 6.9, true}, {-1, 14, true}} {
		if got := e.Due(at(tt.snapshot, tt.timestamp)); got != tt.want {
			t.Errorf("%v and %v days left: due %t", tt.snapshot, tt.timestamp, got)
		}
	}
}
