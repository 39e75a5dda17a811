package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
	"plimsoll/internal/seal/protocol"
)

// Bounds on what is remembered.
const (
	maxContainers = 20_000
	maxImages     = 20_000
	maxThings     = 200_000
	maxRecord     = 256 << 10 // bytes of a file
	maxKept       = 16 << 20  // bytes of a kept image's documents, in base64
	maxFleeting   = 10_000    // things of a team that are not written down
)

// bounds are how much is remembered. No team has more than its part of it: what
// one makes without end must not keep the others from making anything.
type bounds struct{ containers, things, fleeting int }

// part of what is remembered that one team can have.
const part = 4

// Folders of the memory.
const (
	containersFolder = "containers"
	imagesFolder     = "images"
	keptFolder       = "kept"
	thingsFolder     = "things"
)

// Memory is what the guard remembers. It may be used concurrently; only one
// process may have it open. What a method has taken note of is on disk when it
// returns, and nobody is shown what is not.
type Memory struct {
	root *os.Root
	lock *durable.Lock
	most bounds

	// writing keeps two writes of one file apart, by a part of its name's hash.
	// Whoever needs both takes it before mu.
	writing [64]sync.Mutex

	mu         sync.RWMutex
	containers map[string]*Container
	images     map[ref.Digest]*Image
	things     map[string]thing           // by file
	joins      map[string]map[string]bool // holder → who runs with its IDs
	fleeting   map[thing]string           // of kinds that are not written down, by kind and name
	oldest     map[string][]thing         // of them, by team, in the order in which they came
}

// OpenMemory reads what the folder dir holds, and makes it if needed. The caller
// closes it. What a crash left unfinished is removed; a file that cannot be
// understood is an error, since what it says would be forgotten.
func OpenMemory(ctx context.Context, dir string) (*Memory, error) {
	for _, folder := range []string{containersFolder, imagesFolder, keptFolder, thingsFolder} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, fault.As(fault.Unavailable, fmt.Errorf("the guard's memory: %w", err))
		}
	}
	lock, err := durable.TryAcquire(filepath.Join(dir, "lock"))
	switch {
	case err != nil:
		return nil, fault.As(fault.Unavailable, err)
	case lock == nil:
		return nil, fault.Errorf(fault.Conflict, "another guard has %q open", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(fault.As(fault.Unavailable, err), lock.Release())
	}
	m := &Memory{
		root: root, lock: lock, containers: map[string]*Container{}, images: map[ref.Digest]*Image{},
		things: map[string]thing{}, joins: map[string]map[string]bool{}, fleeting: map[thing]string{}, oldest: map[string][]thing{},
		most: bounds{maxContainers, maxThings, maxFleeting},
	}
	if err := m.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the guard's memory: %w", err), m.Close())
	}
	return m, nil
}

// Close lets go of the folder.
func (m *Memory) Close() error { return errors.Join(m.root.Close(), m.lock.Release()) }

func (m *Memory) load(ctx context.Context) error {
	err := each(ctx, m, containersFolder, func(file string, c *Container) error {
		if file != c.file() {
			return errMisplaced
		}
		m.containers[c.ID] = c
		return nil
	})
	if err == nil {
		err = each(ctx, m, imagesFolder, func(file string, i *Image) error {
			if file != imageFile(imagesFolder, i.Config) {
				return errMisplaced
			}
			m.images[i.Config] = i
			return nil
		})
	}
	if err == nil {
		err = each(ctx, m, thingsFolder, func(file string, t *thing) error {
			if file != t.file() {
				return errMisplaced
			}
			m.set(file, *t)
			return nil
		})
	}
	return err
}

var errMisplaced = errors.New("it is not what its name says")

// each reads the files of a folder.
func each[T any](ctx context.Context, m *Memory, folder string, take func(file string, v *T) error) error {
	entries, err := fs.ReadDir(m.root.FS(), folder)
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	for _, e := range entries {
		file := path.Join(folder, e.Name())
		if err := ctx.Err(); err != nil {
			return fault.As(fault.Unavailable, err)
		}
		if strings.HasPrefix(e.Name(), ".new-") {
			if err := m.root.Remove(file); err != nil {
				return fault.As(fault.Unavailable, err)
			}
			continue
		}
		v := new(T)
		err := read(m.root, file, maxRecord, v)
		if err == nil {
			err = take(file, v)
		}
		if err != nil {
			err = fault.As(fault.Invalid, fmt.Errorf("%q: %w", filepath.Join(m.root.Name(), file), err))
			return fault.Hint(err, "move that file away; what it spoke of then is nobody's, and does not start any more")
		}
	}
	return nil
}

// read fills v from a file, which must hold it and nothing else.
func read(root *os.Root, file string, limit int64, v any) error {
	f, err := root.Open(file)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if int64(len(b)) > limit {
		return fault.Errorf(fault.Invalid, "longer than %d bytes", limit)
	}
	return json.Unmarshal(b, v)
}

// alone keeps other writers of file out until what it returns is called.
func (m *Memory) alone(file string) (done func()) {
	h := fnv.New32a()
	_, _ = io.WriteString(h, file)
	l := &m.writing[h.Sum32()%uint32(len(m.writing))]
	l.Lock()
	return l.Unlock
}

func (m *Memory) write(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("the guard's memory: %w", err)
	}
	if len(b) > maxRecord && path.Dir(file) != keptFolder {
		return fault.Errorf(fault.Invalid, "the guard's memory: a record of %d bytes", len(b))
	}
	return fault.As(fault.Unavailable, durable.WriteIn(m.root, file, b, 0o600))
}

// remove removes files durably; it is no error if they are not there.
func (m *Memory) remove(file string) error {
	err := m.root.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.SyncIn(m.root, path.Dir(file))
	}
	return fault.As(fault.Unavailable, err)
}

func (c *Container) file() string { return path.Join(containersFolder, c.ID+".json") }

// Created remembers a container. It is a Conflict if one of that ID is another
// team's.
func (m *Memory) Created(c Container) error {
	if !protocol.ValidID(c.ID) || c.Team == "" {
		return fault.Errorf(fault.Invalid, "container %.80q of team %q cannot be remembered", c.ID, c.Team)
	}
	defer m.alone(c.file())()
	m.mu.RLock()
	old, full := m.containers[c.ID], m.fullOfContainers(c.Team)
	m.mu.RUnlock()
	if old != nil && old.Team != c.Team {
		return fault.Errorf(fault.Conflict, "container %s is another team's", c.ID)
	}
	if old == nil && full != nil {
		return full
	}
	c.Volumes = slices.Clone(c.Volumes)
	if err := m.write(c.file(), &c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.containers[c.ID] = &c
	return nil
}

// fullOfContainers returns why no other container of the team is remembered, nil
// if it is. Its own are counted only when they could be too many.
func (m *Memory) fullOfContainers(team string) error {
	all, ours := len(m.containers), 0
	if all >= m.most.containers {
		return fault.Errorf(fault.Unavailable, "%d containers are remembered: no more", all)
	}
	if all < m.most.containers/part {
		return nil
	}
	for _, c := range m.containers {
		if c.Team == team {
			ours++
		}
	}
	return tooMany("containers", team, ours, m.most.containers/part)
}

func tooMany(what, team string, have, most int) error {
	if have < most {
		return nil
	}
	err := fault.Errorf(fault.Unavailable, "%d %s of team %q are remembered: no more", have, what, team)
	return fault.Hint(err, "remove those that are not needed any more: docker system prune")
}

// Container returns what is remembered of a container, NotFound if nothing.
func (m *Memory) Container(id string) (Container, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := m.containers[id]
	if c == nil {
		return Container{}, fault.Errorf(fault.NotFound, "container %.80q is not known here", id)
	}
	out := *c
	out.Volumes = slices.Clone(c.Volumes)
	return out, nil
}

// change lets fn change what is remembered of a container. It is NotFound if the
// container is gone meanwhile.
func (m *Memory) change(id string, fn func(*Container)) error {
	defer m.alone((&Container{ID: id}).file())()
	c, err := m.Container(id)
	if err != nil {
		return err
	}
	fn(&c)
	if err := m.write(c.file(), &c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.containers[id] = &c
	return nil
}

// Removed forgets a container.
func (m *Memory) Removed(id string) error {
	c, err := m.Container(id)
	if err != nil {
		return nil
	}
	defer m.alone(c.file())()
	if err := m.remove(c.file()); err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.containers, id)
	m.mu.Unlock()
	return nil
}

func imageFile(folder string, config ref.Digest) string {
	return path.Join(folder, config.Algorithm().String()+"-"+config.Encoded()+".json")
}

// Pulled remembers that an engine's image is that name's, and, unless kept is
// nil, what it is known by.
func (m *Memory) Pulled(config ref.Digest, n *Name, chain ref.Digest, kept *image.Kept) error {
	if _, err := ref.ParseDigest(string(config)); err != nil {
		return err
	}
	file := imageFile(imagesFolder, config)
	defer m.alone(file)()
	m.mu.RLock()
	old, full := m.images[config], len(m.images) >= maxImages
	m.mu.RUnlock()
	i := Image{Config: config, Made: time.Now().UTC()}
	switch {
	case old != nil:
		i = *old
	case full:
		return fault.Errorf(fault.Unavailable, "%d images are remembered: no more", maxImages)
	}
	changed := old == nil
	if n != nil {
		changed = i.add(*n) || changed
	}
	if chain != "" && i.Chain != chain {
		i.Chain, changed = chain, true
	}
	if kept != nil && !i.Kept {
		if err := m.write(imageFile(keptFolder, config), kept); err != nil {
			return err
		}
		i.Kept, changed = true, true
	}
	if !changed {
		return nil
	}
	if err := m.write(file, &i); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images[config] = &i
	return nil
}

// Image returns what is remembered of an engine's image.
func (m *Memory) Image(config ref.Digest) (Image, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if i := m.images[config]; i != nil {
		return *i, true
	}
	return Image{}, false
}

// byChain returns the images whose layers come to chain, those that some registry
// named before those of this host.
func (m *Memory) byChain(chain ref.Digest) []Image {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var all []Image
	for _, i := range m.images {
		if i.Chain == chain {
			all = append(all, *i)
		}
	}
	slices.SortFunc(all, func(a, b Image) int {
		return cmp.Or(cmp.Compare(min(1, len(b.Names)), min(1, len(a.Names))), cmp.Compare(a.Config, b.Config))
	})
	return all
}

// kept returns what an image is known by, nil if that is not kept.
func (m *Memory) kept(i Image) (*image.Kept, error) {
	if !i.Kept {
		return nil, nil //nolint:nilnil // nothing is kept
	}
	k := new(image.Kept)
	if err := read(m.root, imageFile(keptFolder, i.Config), maxKept, k); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("image %s as it was kept: %w", i.Config, err))
	}
	return k, nil
}

// forgetImage forgets an image.
func (m *Memory) forgetImage(config ref.Digest) error {
	file := imageFile(imagesFolder, config)
	defer m.alone(file)()
	if err := errors.Join(m.remove(file), m.remove(imageFile(keptFolder, config))); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.images, config)
	return nil
}

func (t *thing) file() string {
	sum := sha256.Sum256([]byte(t.Kind + "\x00" + t.Name))
	return path.Join(thingsFolder, hex.EncodeToString(sum[:])+".json")
}

// set puts a thing into the maps; mu is held.
func (m *Memory) set(file string, t thing) {
	m.things[file] = t
	if holder, joiner, ok := strings.Cut(t.Name, " "); ok && t.Kind == kindJoin {
		if m.joins[holder] == nil {
			m.joins[holder] = map[string]bool{}
		}
		m.joins[holder][joiner] = true
	}
}

// Claim says that a thing is the team's: Conflict if it is another's. Execs are
// remembered as long as this process lives, and at most 10,000 of a team: they are
// made for every command that somebody runs, and end with it.
func (m *Memory) Claim(kind, name, team string) error {
	t := thing{kind, name, team, time.Now().UTC()}
	if kind == "" || name == "" || team == "" || len(name) > 4096 {
		return fault.Errorf(fault.Invalid, "%s %.80q of team %q cannot be remembered", kind, name, team)
	}
	if kind == kindExec {
		return m.claimFleeting(t)
	}
	file := t.file()
	defer m.alone(file)()
	m.mu.RLock()
	old, known := m.things[file]
	full := m.fullOfThings(team)
	m.mu.RUnlock()
	switch {
	case known && old.Team == team:
		return nil
	case known:
		return fault.Errorf(fault.Conflict, "%s %.80q is another team's", kind, name)
	case full != nil:
		return full
	}
	if err := m.write(file, t); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(file, t)
	return nil
}

// fullOfThings is like fullOfContainers.
func (m *Memory) fullOfThings(team string) error {
	all, ours := len(m.things), 0
	if all >= m.most.things {
		return fault.Errorf(fault.Unavailable, "%d things are remembered: no more", all)
	}
	if all < m.most.things/part || team == nobody {
		return nil
	}
	for _, t := range m.things {
		if t.Team == team {
			ours++
		}
	}
	return tooMany("things", team, ours, m.most.things/part)
}

func (m *Memory) claimFleeting(t thing) error {
	key := thing{Kind: t.Kind, Name: t.Name}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, known := m.fleeting[key]; known {
		if old != t.Team {
			return fault.Errorf(fault.Conflict, "%s %.80q is another team's", t.Kind, t.Name)
		}
		return nil
	}
	m.fleeting[key] = t.Team
	ours := append(m.oldest[t.Team], key)
	if len(ours) > m.most.fleeting {
		delete(m.fleeting, ours[0])
		ours = slices.Delete(ours, 0, 1)
	}
	m.oldest[t.Team] = ours
	return nil
}

// Owner returns whose a thing is, NotFound if nobody's.
func (m *Memory) Owner(kind, name string) (team string, err error) {
	t := thing{Kind: kind, Name: name}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if team, ok := m.fleeting[t]; ok {
		return team, nil
	}
	if found, ok := m.things[t.file()]; ok {
		return found.Team, nil
	}
	return "", fault.Errorf(fault.NotFound, "%s %.80q is nobody's here", kind, name)
}

// unclaimed returns those of the volumes that are no other team's than the given one,
// by itself or as a container's.
func (m *Memory) unclaimed(team string, volumes []string) []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	others := map[string]bool{}
	for _, c := range m.containers {
		if c.Team != team {
			for _, v := range c.Volumes {
				others[v] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(volumes), func(name string) bool {
		t, known := m.things[(&thing{Kind: kindVolume, Name: name}).file()]
		return others[name] || known && t.Team != team
	})
}

// Disown forgets whose a thing is.
func (m *Memory) Disown(kind, name string) error {
	t := thing{Kind: kind, Name: name}
	if kind == kindExec {
		m.mu.Lock()
		defer m.mu.Unlock()
		team := m.fleeting[t]
		delete(m.fleeting, t)
		m.oldest[team] = slices.DeleteFunc(m.oldest[team], func(o thing) bool { return o == t })
		if len(m.oldest[team]) == 0 {
			delete(m.oldest, team)
		}
		return nil
	}
	file := t.file()
	defer m.alone(file)()
	if err := m.remove(file); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.things, file)
	if holder, joiner, ok := strings.Cut(name, " "); ok && kind == kindJoin {
		delete(m.joins[holder], joiner)
		if len(m.joins[holder]) == 0 {
			delete(m.joins, holder)
		}
	}
	return nil
}

// claimed returns all things of a kind, by name.
func (m *Memory) claimed(kind string) map[string]thing {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := map[string]thing{}
	for _, t := range m.things {
		if t.Kind == kind {
			all[t.Name] = t
		}
	}
	return all
}

// joined reports whether somebody runs with holder's IDs.
func (m *Memory) joined(holder string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.joins[holder]) > 0
}

// holdersOf returns whose IDs joiner runs with.
func (m *Memory) holdersOf(joiner string) []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var all []string
	for holder, who := range m.joins {
		if who[joiner] {
			all = append(all, holder)
		}
	}
	return all
}
