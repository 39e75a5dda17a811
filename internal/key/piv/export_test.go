package piv

import "time"

// SetTouchServes sets how long a cached touch serves.
func (p *Provider) SetTouchServes(d time.Duration) { p.touchServes = d }
