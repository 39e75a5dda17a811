package advisory_test

import (
	"testing"

	"plimsoll/internal/advisory"
)

// FuzzOrder holds every order to what sorting needs: it is reflexive,
// antisymmetric and transitive.
func FuzzOrder(f *testing.F) {
	ecosystems := []advisory.Ecosystem{"Debian:12", "AlmaLinux:9", "Alpine:v3.19", "Go", "npm", "PyPI", "crates.io"}
	for i := range ecosystems {
		f.Add(uint8(i), "1.0", "1.0-1", "1:1.0~rc1")
		f.Add(uint8(i), "1.2.3-alpha.1", "1.2.3", "1.2.3-4")
		f.Add(uint8(i), "1.0.post1", "1.0rc1", "1.0.dev3")
		f.Add(uint8(i), "1.0^git1", "1.0^", "1.0_p1-r2")
		f.Add(uint8(i), "0.0.0-20200101000000-abcdef012345", "1!2.0+local.1", "1.0~~")
	}
	f.Fuzz(func(t *testing.T, n uint8, a, b, c string) {
		e := ecosystems[int(n)%len(ecosystems)]
		order, err := advisory.OrderOf(e)
		if err != nil {
			t.Fatal(err)
		}
		ab, err1 := order(a, b)
		bc, err2 := order(b, c)
		if err1 != nil || err2 != nil {
			return
		}
		ac, err := order(a, c)
		if err != nil {
			t.Fatalf("%s: %q and %q were taken, but not together: %v", e, a, c, err)
		}
		if ba, err := order(b, a); err != nil || sign(ba) != -sign(ab) {
			t.Errorf("%s: compare(%q, %q) = %d but the other way %d, %v", e, a, b, ab, ba, err)
		}
		if aa, err := order(a, a); err != nil || aa != 0 {
			t.Errorf("%s: %q is not equal to itself: %d, %v", e, a, aa, err)
		}
		if ab <= 0 && bc <= 0 && ac > 0 || ab >= 0 && bc >= 0 && ac < 0 {
			t.Errorf("%s: %q, %q, %q: %d, %d, but %d", e, a, b, c, ab, bc, ac)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(goRecord), "1.2.3")
	f.Add([]byte(`{"id":"X-1","affected":[{"package":{"ecosystem":"PyPI","name":"a"},"versions":["1"],"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"last_affected":"2"}]}]}]}`), "2")
	f.Add([]byte(`{"id":"X-1","modified":"0001-01-01T00:00:00Z","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}`), "0")
	f.Fuzz(func(t *testing.T, b []byte, version string) {
		r, err := advisory.Parse(b)
		if err != nil {
			return
		}
		for _, a := range r.Affected {
			order, err := advisory.OrderOf(a.Package.Ecosystem)
			if err != nil {
				continue
			}
			if _, err := order(version, version); err != nil {
				continue
			}
			if _, err := a.Covers(order, version); err != nil {
				t.Errorf("a checked record cannot be evaluated at %q: %v", version, err)
			}
			fixes, err := a.Fixes(order, version)
			if err != nil {
				t.Errorf("a checked record's fixes cannot be evaluated at %q: %v", version, err)
			}
			for _, fix := range fixes {
				if c, err := order(fix, version); err != nil || c <= 0 {
					t.Errorf("fix %q is not above %q: %d, %v", fix, version, c, err)
				}
			}
		}
		r.Trim()
		if err := r.Check(); err != nil {
			t.Errorf("trimming spoilt the record: %v", err)
		}
	})
}
