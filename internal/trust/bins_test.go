package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tuf "github.com/theupdateframework/go-tuf/v2/metadata"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// images returns n images under tags of their own.
func images(prefix string, n int) []Image {
	all := make([]Image, n)
	for i := range all {
		all[i] = image(prefix+strconv.Itoa(i), prefix+strconv.Itoa(i+1))
	}
	return all
}

// many is more images than a role keeps in one file.
const many = maxUnbinned/2 + 50

// newFiles returns the roles of which after has a file that before has not.
func newFiles(before, after files) []string {
	var all []string
	for name := range after {
		if before[name] == nil {
			_, role, _ := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
			all = append(all, role)
		}
	}
	slices.Sort(all)
	return all
}

func TestBins(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases", "security")
	all := images("v", many)
	w.must(w.repo.Sign(t.Context(), "releases", all...))
	w.sign("security", "v7", "v8")
	first, last := all[0], all[many-1]

	for name, want := range map[string]ref.Digest{
		":v0":                                    first.Digest,
		":" + last.Tag:                           last.Digest,
		"@" + string(last.Digest):                last.Digest,
		"@" + string(last.Platforms[1].Manifest): last.Platforms[1].Manifest,
	} {
		s, err := w.ask(w.store, name)
		w.must(err)
		if diff := cmp.Diff(map[string]ref.Digest{"releases": want}, s.Roles); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff([]string{w.fingerprint("releases")}, s.Signers["releases"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if s, err := w.ask(w.store, ":v7"); err != nil || len(s.Roles) != 2 || s.Roles["releases"] != s.Roles["security"] {
		t.Errorf("named by two roles, one of them in bins: %+v, %v", s, err)
	}
	for _, name := range []string{":none", "@" + string(image("", "none").Digest)} {
		if _, err := w.ask(w.store, name); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// One image more: its bins, snapshot and timestamp, and nothing else.
	before := w.files()
	next := w.sign("releases", "next", "next")
	changed := newFiles(before, w.files())
	if len(changed) > 5 || slices.Contains(changed, "releases") || slices.Contains(changed, "releases__tags") || !slices.Contains(changed, RoleSnapshot) {
		t.Errorf("one image changed %q", changed)
	}
	if s, err := w.ask(w.store, ":next"); err != nil || s.Roles["releases"] != next.Digest {
		t.Errorf("%+v, %v", s, err)
	}

	tr, err := w.client(w.store).Refresh(t.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(tr.Close()) }()
	for _, name := range []string{":v0", "@" + string(first.Digest), "@" + string(first.Platforms[0].Manifest)} {
		r, err := ref.Parse(string(w.gun) + name)
		w.must(err)
		if role, _, err := tr.Decide(t.Context(), r); role != "releases" || err != nil {
			t.Errorf("%s is decided by %q, %v", name, role, err)
		}
	}
	if diff := cmp.Diff([]string{RoleTargets, "releases", "security"}, tr.Order()); diff != "" {
		t.Error(diff)
	}
	s, err := tr.Status(t.Context())
	w.must(err)
	w.must(tr.CountBins(t.Context(), s))
	if r := s.Roles[4]; r.Role != "releases" || r.Targets < 2*many {
		t.Errorf("status says %+v", r)
	}
}

// TestBinsOracle: to go-tuf, bins are delegations like any other, signed by whom
// they are delegated to. It does not find names in them, for it compares
// path_hash_prefixes with the hash in base64, where TUF 1.0.34 (4.5) says hex; so
// the way to the bin is the specification's here.
func TestBinsOracle(t *testing.T) {
	w := newWorld(t)
	w.delegate("security")
	all := images("v", many)
	w.must(w.repo.Sign(t.Context(), RoleTargets, all...))
	m := w.sign("security", "s", "s")
	f := w.files()
	u, err := oracle(t, f)
	w.must(err)
	if f, err := u.GetTargetInfo("s"); err != nil || f.Length != m.Size {
		t.Errorf("a role after the bins: %+v, %v", f, err)
	}
	versions := w.versions(f)
	load := func(role string) *tuf.Metadata[tuf.TargetsType] {
		m, err := tuf.Targets().FromBytes(f[fileName(role, versions[role])])
		w.must(err)
		return m
	}
	find := func(name string) int64 {
		sum := sha256.Sum256([]byte(name))
		at := load(RoleTargets)
		for range 2 {
			for _, r := range at.Signed.Delegations.Roles {
				yes, _ := r.IsDelegatedPath(name)
				for _, p := range r.PathHashPrefixes {
					yes = strings.HasPrefix(hex.EncodeToString(sum[:]), p)
					if yes {
						break
					}
				}
				if yes {
					child := load(r.Name)
					w.must(at.VerifyDelegate(r.Name, child))
					at = child
					break
				}
			}
		}
		if f := at.Signed.Targets[name]; f != nil {
			return f.Length
		}
		return 0
	}
	for _, i := range []int{0, 500, many - 1} {
		for name, size := range map[string]int64{
			all[i].Tag: all[i].Size, digestTarget(all[i].Digest): all[i].Size, digestTarget(all[i].Platforms[1].Manifest): 501,
		} {
			if got := find(name); got != size {
				t.Errorf("%q has %d bytes, want %d", name, got, size)
			}
		}
	}
}

func TestBinsGrow(t *testing.T) {
	w := newWorld(t)
	w.must(w.repo.Sign(t.Context(), RoleTargets, images("v", many)...))
	count := func() int {
		n := 0
		for name := range w.files() {
			if strings.Contains(name, "targets__tags_") && strings.HasPrefix(name, "1.") {
				n++
			}
		}
		return n
	}
	if n := count(); n != 32 && n != 16 {
		t.Fatalf("%d bins of %d tags", n, many)
	}
	before := count()
	w.must(w.repo.Sign(t.Context(), RoleTargets, images("w", 5000)...))
	if n := count(); n < 2*before || n > 128 {
		t.Errorf("%d bins of %d tags", n, many+5000)
	}
	for _, name := range []string{":v0", ":w4999", "@" + string(image("", "v3").Platforms[0].Manifest)} {
		if _, err := w.ask(w.store, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRotateBins: new keys of a role are its bins' too.
func TestRotateBins(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	w.must(w.repo.Sign(t.Context(), "releases", images("v", many)...))
	w.must(w.repo.Sign(t.Context(), RoleTargets, images("t", many)...))
	for _, role := range []string{"releases", RoleTargets} {
		w.newKey("new " + role)
		w.must(w.repo.Rotate(t.Context(), []string{role}, w.public("new "+role), 0))
		delete(w.keys, role)
	}
	w.forget()
	for _, name := range []string{":v9", ":t9"} {
		s, err := w.ask(w.store, name)
		w.must(err)
		if len(s.Errors) > 0 || len(s.Roles) != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	w.sign("releases", "more", "more")
	w.sign(RoleTargets, "more", "more")
	if s, err := w.ask(w.store, ":more"); err != nil || len(s.Roles) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := w.repo.Rotate(t.Context(), []string{"targets__tags"}, w.public("root1"), 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("bins alone were given a key: %v", err)
	}
}

// TestBinsAreRenewed: a bin that nothing was added to does not expire unseen.
func TestBinsAreRenewed(t *testing.T) {
	w := newWorld(t)
	w.repo.cfg.Expiries = Expiries{RoleTargets: 100 * day}
	w.must(w.repo.Sign(t.Context(), RoleTargets, images("v", many)...))
	w.now = w.now.Add(90 * day)
	w.sign(RoleTargets, "late", "late")
	w.now = w.now.Add(50 * day)
	w.must(w.repo.Refresh(t.Context()))
	for i := range 50 {
		if _, err := w.ask(w.store, ":v"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForeignBins: a role that is called like another's bins, by a role that may
// delegate, neither answers for it nor shadows it.
func TestForeignBins(t *testing.T) {
	w := newWorld(t)
	w.delegate("first", "releases")
	w.sign("first", "a", "a")
	all := images("v", many)
	w.must(w.repo.Sign(t.Context(), "releases", all...))
	f := w.files()
	w.newKey("thief")
	k := w.keys["thief"].key
	w.forge(f, "1.first.json", func(s map[string]any) {
		s["version"] = 2
		d := &delegations{Keys: keys{k.ID: k}}
		for _, name := range []string{"releases__tags", "releases__digests", "first__tags"} {
			d.Roles = append(d.Roles, delegation{Name: name, keyRole: newKeyRole([]*Key{k}, 1), Paths: []string{"*"}})
		}
		s["delegations"] = d.encode()
	}, "first")
	f["2.first.json"] = f["1.first.json"]
	roles := w.versions(f)
	roles["first"] = 2
	w.relink(f, 99, roles)
	s, err := w.ask(f, ":v0")
	w.must(err)
	if diff := cmp.Diff(map[string]ref.Digest{"releases": all[0].Digest}, s.Roles); diff != "" || len(s.Errors) > 0 {
		t.Errorf("%s, %v", diff, s.Errors)
	}
	tr, err := w.client(f).Refresh(t.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(tr.Close()) }()
	if role, d, err := tr.Decide(t.Context(), ref.Reference{Tag: "v0"}); role != "releases" || d != all[0].Digest || err != nil {
		t.Errorf("decided by %q, %s, %v", role, d, err)
	}
}

// versions returns the newest version of every targets role in f.
func (w *world) versions(f files) map[string]int64 {
	w.Helper()
	all := map[string]int64{}
	for name := range f {
		version, role, ok := strings.Cut(strings.TrimSuffix(name, ".json"), ".")
		v, err := strconv.ParseInt(version, 10, 64)
		if ok && err == nil && role != RoleRoot && role != RoleSnapshot {
			all[role] = max(all[role], v)
		}
	}
	return all
}

// TestBrokenRole: what is wrong with one role is said, and the others count.
func TestBrokenRole(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases", "security")
	m := w.sign("releases", "v1", "a")
	w.sign("security", "v1", "a")
	for name, tt := range map[string]struct {
		change func(f files)
		words  string
	}{
		"altered": {func(f files) {
			w.newKey("thief")
			w.forge(f, "1.security.json", func(map[string]any) {}, "thief")
			w.relink(f, 99, w.versions(f))
		}, "security metadata: 0 of its keys signed"},
		"expired": {func(f files) {
			w.forge(f, "1.security.json", func(s map[string]any) { s["expires"] = w.now.Add(-time.Hour).Format(timeForm) }, "security")
			w.relink(f, 99, w.versions(f))
		}, "security metadata expired"},
		"stripped": {func(f files) { delete(f, "1.security.json") }, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.forget()
			f := w.files()
			tt.change(f)
			s, err := w.ask(f, ":v1")
			w.must(err)
			if diff := cmp.Diff(map[string]ref.Digest{"releases": m.Digest}, s.Roles); diff != "" {
				t.Error(diff)
			}
			w.refused(s.Errors["security"], tt.words)
			w.broken(f, "security", tt.words)
			_, err = w.ask(f, ":v2") // nobody else names it, and what security says is not known
			w.refused(err, tt.words)
		})
	}
	t.Run("publishing goes on", func(t *testing.T) {
		w := w.in(t)
		w.must(w.repo.Sign(t.Context(), "releases", image("v3", "c")))
	})
}

// broken demands that a status says what is wrong with a role, and of no other.
func (w *world) broken(f files, role, words string) {
	w.Helper()
	tr, err := w.client(f).Refresh(w.Context(), w.gun, w.pins)
	w.must(err)
	defer func() { w.must(tr.Close()) }()
	s, err := tr.Status(w.Context())
	w.must(err)
	for _, r := range s.Roles {
		if r.Role == role {
			w.refused(r.Err, words)
		} else if r.Err != nil {
			w.Errorf("%s: %v", r.Role, r.Err)
		}
	}
}

// TestBrokenBin is the role's error: it is not the same as not signed.
func TestBrokenBin(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases", "security")
	w.must(w.repo.Sign(t.Context(), "releases", images("v", many)...))
	m := w.sign("security", "v0", "v1")
	good := w.files()
	for _, gone := range []string{"releases__tags", "releases__tags_"} {
		f := good.clone()
		maps.DeleteFunc(f, func(name string, _ []byte) bool { return strings.Contains(name, "."+gone) })
		w.forget()
		s, err := w.ask(f, ":v0")
		w.must(err)
		w.refused(s.Errors["releases"], "is missing")
		if diff := cmp.Diff(map[string]ref.Digest{"security": m.Digest}, s.Roles); diff != "" {
			t.Error(diff)
		}
		// By TUF's order releases comes first: nobody knows what it would have said.
		tr, err := w.client(f).Refresh(t.Context(), w.gun, w.pins)
		w.must(err)
		_, _, err = tr.Decide(t.Context(), ref.Reference{Tag: "v0"})
		w.refused(err, "is missing")
		w.must(tr.Close())
	}
}

// TestCompromisedBins: what a stolen key signed is found in bins too, and what is
// not kept leaves them.
func TestCompromisedBins(t *testing.T) {
	w := newWorld(t)
	w.delegate("releases")
	all := images("v", many)
	w.must(w.repo.Sign(t.Context(), "releases", all...))
	tr, err := w.client(w.store).Refresh(t.Context(), w.gun, w.pins)
	w.must(err)
	e, err := tr.Exposure(t.Context(), w.fingerprint("releases"))
	w.must(err)
	w.must(tr.Close())
	if len(e.Signed) != 1 || len(e.Signed[0].Names) != 2*many || len(e.Signed[0].Roles) > 0 {
		t.Errorf("signed are %d files", len(e.Signed))
	}
	w.newKey("new")
	w.must(w.repo.Change(t.Context(), Changes{
		Replace: []Replacement{{Old: w.fingerprint("releases"), New: w.keys["new"].key}},
		Sift:    []Sift{{Role: "releases", Images: all[:1]}},
	}))
	delete(w.keys, "releases")
	if s, err := w.ask(w.store, ":v0"); err != nil || s.Roles["releases"] != all[0].Digest {
		t.Errorf("what is kept: %+v, %v", s, err)
	}
	for _, name := range []string{":v1", "@" + string(all[1].Digest), "@" + string(all[1].Platforms[0].Manifest)} {
		if _, err := w.ask(w.store, name); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s is still named: %v", name, err)
		}
	}
}

func TestBinPrefixes(t *testing.T) {
	for _, k := range binKinds {
		for n := k.least; n <= k.most; n *= 2 {
			seen := map[string]bool{}
			for i := range n {
				for _, p := range k.bin("r", i, n, keyRole{}).Prefixes {
					if seen[p] {
						t.Errorf("%d bins: prefix %s twice", n, p)
					}
					seen[p] = true
				}
			}
			if len(seen) != 16 && len(seen) != 256 {
				t.Errorf("%d bins: %d prefixes", n, len(seen))
			}
		}
	}
	for n, want := range map[int]int{1000: 32, 10_000: 64, 1_000_000: 128} {
		if got := binKinds[0].bins(n); got != want {
			t.Errorf("%d tags in %d bins, want %d", n, got, want)
		}
	}
}

func TestMisplaced(t *testing.T) {
	for _, tt := range []struct {
		parent, name string
		want         bool
	}{
		{RoleTargets, "releases", false},
		{RoleTargets, "targets__tags", false},
		{RoleTargets, "releases__tags", true},
		{"releases", "releases__tags", false},
		{"releases", "releases__tags_0a", true},
		{"releases__tags", "releases__tags_0a", false},
		{"releases__digests", "releases__tags_0a", true},
		{"releases", "my_tags", false},
	} {
		if got := misplaced(tt.parent, tt.name); got != tt.want {
			t.Errorf("%s below %s: %v", tt.name, tt.parent, got)
		}
	}
}

func Example_bins() {
	k := binKinds[0]
	fmt.Println(k.bins(10_000), k.group("releases"), k.bin("releases", 10, 64, keyRole{}).Prefixes)
	// Output: 64 releases__tags [28 29 2a 2b]
}

// FuzzBins asks hostile metadata about names, groups and bins: whatever a role
// writes, nothing is found in bins but by the rules.
func FuzzBins(f *testing.F) {
	f.Add([]byte(`{"targets":{"sha256/aa":{"length":1,"hashes":{"sha256":"aa"},"custom":{"images":["x",1],"platforms":[{"manifest":"sha256:b","size":"x"},7]}}},"delegations":{"keys":{},"roles":[{"name":"targets__tags","keyids":[],"threshold":1,"terminating":false,"paths":["*"]}]}}`), "v1")
	f.Add([]byte(`{"targets":{},"delegations":{"keys":{},"roles":[{"name":"targets__tags_00","keyids":[],"threshold":1,"terminating":false,"path_hash_prefixes":["0",""]}]}}`), "sha256/00")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		v, err := parseJSON(b)
		if err != nil {
			return
		}
		o := newObject(v, "", &err)
		m := &targets{Targets: map[string]target{}}
		o.child("targets").each(100, func(name string, v any) { m.Targets[name] = decodeTarget(newObject(v, name, &err)) })
		m.Delegations = decodeDelegations(o.child("delegations"))
		if err != nil {
			return
		}
		s := step{name: RoleTargets, keys: m.Delegations.Keys, need: keyRole{Threshold: 1}}
		if g := m.Delegations.ownGroup(s, name); g != nil && (g.Threshold != 1 || kindOf(name) == nil) {
			t.Errorf("group %q of other keys", g.Name)
		}
		if r := m.Delegations.ownBin(s, "targets__tags", name); r != nil && (ownerOf(r.Name) != RoleTargets || !r.covers(name)) {
			t.Errorf("bin %q for %q", r.Name, name)
		}
		for _, f := range m.Targets {
			platformTargets("sha256:00", f)
			if got := f.ofImages(f.images()).images(); len(got) > len(f.images()) {
				t.Errorf("images %q", got)
			}
		}
	})
}
