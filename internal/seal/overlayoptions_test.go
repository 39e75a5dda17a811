package seal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

func TestParseOverlay(t *testing.T) {
	allowed := cmp.AllowUnexported(overlayOptions{})
	tests := []struct {
		in   string
		want overlayOptions
	}{
		{"rw,lowerdir=l/A:l/B,upperdir=/d/x/diff,workdir=/d/x/work", overlayOptions{lowers: []string{"l/A", "l/B"}, upper: "/d/x/diff", work: "/d/x/work"}},
		{"ro,seclabel,lowerdir=/a,metacopy=on,redirect_dir=on,index=on,nfs_export=on", overlayOptions{lowers: []string{"/a"}, readOnly: true, kept: []string{"metacopy=on", "redirect_dir=on"}}},
		{"rw,lowerdir+=/a,lowerdir+=/b:c,upperdir=/u,workdir=/w,volatile,uuid=on,xino=off,userxattr", overlayOptions{
			lowers: []string{"/a", "/b:c"}, upper: "/u", work: "/w", kept: []string{"volatile", "uuid=on", "xino=off", "userxattr"}, volatileWork: true,
		}},
		{`rw,lowerdir=/a\134:b:/c\040d\054e\134\134f`, overlayOptions{lowers: []string{"/a:b", `/c d,e\f`}}},
	}
	for _, tt := range tests {
		got, err := parseOverlay(tt.in)
		if d := cmp.Diff(tt.want, got, allowed); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.in, err, d)
		}
	}
	for _, in := range []string{
		"", "rw", "rw,upperdir=/u", "rw,lowerdir=", "rw,lowerdir=/a::/b", "rw,lowerdir+=/a,datadir+=/b", "rw,lowerdir=/a,new_option=1",
		`rw,lowerdir=/a,context="x`, `rw,lowerdir=/a\134`, `rw,lowerdir=/a\9`, `rw,lowerdir=/a\777`, `rw,lowerdir=/a,workdir=\04`,
	} {
		if got, err := parseOverlay(in); !fault.Is(err, fault.Denied) {
			t.Errorf("%q was read as %+v, %v", in, got, err)
		}
	}
}

func FuzzParseOverlay(f *testing.F) {
	f.Add(`rw,lowerdir=/a\134:b:/c,upperdir=/u,workdir=/w,index=off`)
	f.Add("rw,lowerdir+=l/A,volatile")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOverlay(s)
		if err != nil {
			return
		}
		if len(o.lowers) == 0 {
			t.Errorf("%q has no layers", s)
		}
		for _, k := range o.kept {
			if strings.Contains(k, ",") || !carried[strings.SplitN(k, "=", 2)[0]] {
				t.Errorf("%q keeps %q", s, k)
			}
		}
	})
}
