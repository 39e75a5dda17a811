package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"plimsoll/internal/profile"
)

// Duration is a length of time, written with a unit of d, h, m or s: "48h",
// "1d12h".
type Duration struct{ time.Duration }

var (
	durationForm = regexp.MustCompile(`^([0-9]+[dhms])+$`)
	durationPart = regexp.MustCompile(`([0-9]+)([dhms])`)
	durationUnit = map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}
)

// maxDuration is ten years: more is a slip of the pen.
const maxDuration = 10 * 365 * 24 * time.Hour

func (d *Duration) parse(s string) error {
	if !durationForm.MatchString(s) {
		return fmt.Errorf("%q is no duration: write a number and a unit of d, h, m or s, such as 48h", s)
	}
	d.Duration = 0
	for _, part := range durationPart.FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil || n > int64(maxDuration/durationUnit[part[2]]) {
			return fmt.Errorf("%q is longer than ten years", s)
		}
		if d.Duration += time.Duration(n) * durationUnit[part[2]]; d.Duration > maxDuration {
			return fmt.Errorf("%q is longer than ten years", s)
		}
	}
	return nil
}

// WhenUnreachable is "deny", the zero value, or "keep" and a [Duration].
type WhenUnreachable struct {
	// Keep is for how long after it was last allowed a container that has not
	// changed may start again; 0: not at all.
	Keep time.Duration
}

func (w *WhenUnreachable) parse(s string) error {
	length, keep := strings.CutPrefix(s, "keep ")
	switch {
	case s == "deny":
		w.Keep = 0
		return nil
	case !keep:
		return fmt.Errorf("want deny, or keep and a time such as keep 24h, got %q", s)
	}
	var d Duration
	if err := d.parse(length); err != nil {
		return err
	}
	if d.Duration <= 0 {
		return fmt.Errorf("%q keeps nothing: write deny", s)
	}
	w.Keep = d.Duration
	return nil
}

// Date is a day in UTC, "2026-12-31".
type Date struct{ time.Time }

func (d *Date) parse(s string) (err error) {
	if d.Time, err = time.Parse(time.DateOnly, s); err != nil {
		return fmt.Errorf("%q is no day such as 2026-12-31", s)
	}
	return nil
}

// String returns the day as it is written.
func (d Date) String() string { return d.Format(time.DateOnly) }

// Bytes is an amount, see [profile.ParseBytes].
type Bytes int64

func (b *Bytes) parse(s string) error {
	n, err := profile.ParseBytes(s)
	*b = Bytes(n)
	return err
}

// PURL names a component in all its versions: a package URL without version,
// qualifiers and subpath.
type PURL struct{ Type, Namespace, Name string }

func (p *PURL) parse(s string) error {
	u, err := packageurl.FromString(s)
	if err != nil {
		return fmt.Errorf("%q is no package URL: %w", s, err)
	}
	if u.Version != "" || len(u.Qualifiers) > 0 || u.Subpath != "" {
		return fmt.Errorf("%q: an exception covers all versions of a component: leave out version, qualifiers and subpath", s)
	}
	*p = PURL{u.Type, u.Namespace, u.Name}
	return nil
}

// String returns the package URL.
func (p PURL) String() string {
	return packageurl.NewPackageURL(p.Type, p.Namespace, p.Name, "", nil, "").ToString()
}

// word makes "hardware: required" short for {attestation: required}.
func (h *Hardware) word(s string) error {
	if s != "required" {
		return errors.New(`it is the word "required" or says what is demanded`)
	}
	h.Attestation = s
	return nil
}
