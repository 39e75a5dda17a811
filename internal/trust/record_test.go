package trust

import "testing"

// TestRecordRemembersCeremonies: the newest ones, each once.
func TestRecordRemembersCeremonies(t *testing.T) {
	w := newWorld(t)
	first := w.propose(Changes{Renew: true})
	records := NewRecords(t.TempDir())
	r, err := records.Load(w.gun)
	w.must(err)
	r.Begin(first)
	r.Begin(first)
	w.must(records.Save(r))
	r, err = records.Load(w.gun)
	w.must(err)
	if len(r.Begun) != 1 || !r.Began(first) {
		t.Errorf("begun %v", r.Begun)
	}
	for i := range maxBegun {
		r.Begin(w.propose(Changes{Renew: true, Until: w.now.AddDate(0, 1, i)}))
	}
	if len(r.Begun) != maxBegun || r.Began(first) {
		t.Errorf("%d begun, the first still there: %t", len(r.Begun), r.Began(first))
	}
}
