package engine

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// pull fetches an image: the guard says which digest the name stands for, that is
// what the engine fetches, and then it gets the name.
func (q *request) pull() error {
	if q.query.Get("fromSrc") != "" {
		return q.importImage()
	}
	if err := only(q.query.Values, "repo", "message", "changes"); err != nil {
		return err
	}
	r, err := q.pulled()
	if err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	d, err := q.p.Guard.Judge(q.ctx(), Question{Image: r.String(), Team: q.team, Action: ActionRun, Caller: q.caller, Door: Door})
	if err != nil {
		return err
	}
	if err := q.obey(d, r.String()); err != nil {
		return err
	}
	if d.Digest == "" {
		return fault.Errorf(fault.Internal, "the guard allowed %q and named no digest", r)
	}
	exact := r.WithDigest(d.Digest)
	query := url.Values{"fromImage": {string(r.GUN())}, "tag": {string(d.Digest)}}
	if p := q.query.Get("platform"); p != "" {
		query.Set("platform", p)
	}
	failed, err := q.progress(outgoing{method: http.MethodPost, path: "images/create", query: query, registry: true}, nil)
	if err != nil || failed {
		return err
	}
	return q.ending(q.keepPulled(r, exact, Pulled{Reference: r.String(), Digest: d.Digest, Manifest: d.Manifest, Team: q.team}))
}

// pulled returns the one image that the query names.
func (q *request) pulled() (ref.Reference, error) {
	name, tag := q.query.Get("fromImage"), q.query.Get("tag")
	switch {
	case strings.HasPrefix(tag, "sha256:"):
		name += "@" + tag
	case tag != "":
		name += ":" + tag
	case !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":"):
		return ref.Reference{}, fault.Hint(denied("all tags of %q cannot be pulled at once", clip(name)), "docker pull %s:TAG", clip(name))
	}
	r, err := ref.Parse(name)
	if err != nil {
		return r, fault.Errorf(fault.Invalid, "%q is not an image's name", clip(name))
	}
	return r, nil
}

// keepPulled remembers what was pulled and gives it its name.
func (q *request) keepPulled(r, exact ref.Reference, p Pulled) error {
	var found engineImage
	if err := q.ask(outgoing{method: http.MethodGet, path: "images/" + exact.String() + "/json"}, &found); err != nil {
		return err
	}
	p.Config = ref.Digest(found.ID)
	if err := q.p.Guard.Pulled(q.ctx(), p); err != nil {
		return err
	}
	if err := q.claimImage(found.ID); err != nil {
		return err
	}
	if r.Digest != "" {
		return nil
	}
	if err := q.p.Guard.Disown(q.ctx(), KindTag, r.String()); err != nil {
		return err
	}
	return q.setTag(found.ID, r.String())
}

// progress passes a request whose answer is a stream of JSON messages, and
// reports whether it ended in an error, which the client then knows of.
func (q *request) progress(o outgoing, see func(message)) (failed bool, err error) {
	resp, err := q.send(q.ctx(), o)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return true, said(resp)
	}
	resp.ContentLength = -1 // something may follow
	w := &messages{see: func(m message) {
		failed = failed || m.Error != ""
		if see != nil {
			see(m)
		}
	}}
	q.begin(resp)
	err = q.stream(io.TeeReader(resp.Body, w))
	w.end()
	return failed, err
}

// ending tells the client of an error after the engine's stream has ended.
func (q *request) ending(err error) error {
	if err == nil {
		return nil
	}
	_, text := told(err)
	q.p.Log.Error("after a stream", slog.String("path", q.target.path()), slog.Any("err", err))
	data, err := json.Marshal(map[string]any{"error": text, "errorDetail": map[string]string{"message": text}})
	if err != nil {
		return fault.As(fault.Internal, err)
	}
	_, err = q.w.Write(append(data, '\r', '\n'))
	return gone(err)
}

// note adds a line to the stream.
func (q *request) note(text string) error {
	data, err := json.Marshal(map[string]string{"stream": text + "\n"})
	if err != nil {
		return fault.As(fault.Internal, err)
	}
	_, err = q.w.Write(append(data, '\r', '\n'))
	return gone(err)
}

// message is what is read of a line of progress.
type message struct {
	Stream string          `json:"stream"`
	Status string          `json:"status"`
	Error  string          `json:"error"`
	Aux    json.RawMessage `json:"aux"`
}

// id returns the ID of an image that the message tells of, or "".
func (m message) id() string {
	var aux struct{ ID string }
	if json.Unmarshal(m.Aux, &aux) == nil && digestText.MatchString(aux.ID) {
		return aux.ID
	}
	for _, text := range []string{m.Status, m.Stream} {
		text = strings.TrimPrefix(strings.TrimSpace(text), "Loaded image ID: ")
		if digestText.MatchString(text) {
			return text
		}
	}
	return ""
}

var digestText = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

const maxMessage = 64 << 10 // bytes; what is longer is passed on and not read

// messages reads lines of progress as they go by.
type messages struct {
	see  func(message)
	line []byte
	long bool
}

func (m *messages) Write(p []byte) (int, error) {
	rest := p
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		m.add(rest[:i])
		m.end()
		rest = rest[i+1:]
	}
	m.add(rest)
	return len(p), nil
}

func (m *messages) add(p []byte) {
	if m.long = m.long || len(m.line)+len(p) > maxMessage; !m.long {
		m.line = append(m.line, p...)
	}
}

// end reads what is there of a line.
func (m *messages) end() {
	var one message
	if !m.long && json.Unmarshal(m.line, &one) == nil {
		m.see(one)
	}
	m.line, m.long = m.line[:0], false
}

// importImage makes an image of a file system.
func (q *request) importImage() error {
	if q.query.Get("fromSrc") != "-" {
		return fault.Hint(denied("images are not imported from addresses"), "docker import - NAME < FILE")
	}
	if err := only(q.query.Values, "fromImage"); err != nil {
		return err
	}
	if err := q.admit(ActionBuild); err != nil {
		return err
	}
	if slices.ContainsFunc(q.query.Values["changes"], reservedLabel.MatchString) {
		return denied("changes: labels that begin with %s are Plimsoll's", labelPrefix)
	}
	name, err := q.claimName(q.query.Get("repo"), q.query.Get("tag"))
	if err != nil {
		return err
	}
	if err := q.allow("import", "import an image as %q", name); err != nil {
		return err
	}
	query := q.query.Values
	query.Del("repo")
	query.Del("tag")
	body := outgoing{method: http.MethodPost, path: "images/create", query: query, body: q.r.Body, length: -1, kind: "application/x-tar"}
	return q.making(body, []string{name})
}

// making passes a request that makes images, claims what it made, and gives the
// last of them the names.
func (q *request) making(o outgoing, names []string) error {
	var ids []string
	failed, err := q.progress(o, func(m message) {
		if id := m.id(); id != "" && !slices.Contains(ids, id) && len(ids) < 1000 {
			ids = append(ids, id)
		}
	})
	if err != nil || failed || len(ids) == 0 {
		return err
	}
	return q.ending(q.keepMade(ids, names))
}

func (q *request) keepMade(ids, names []string) error {
	for _, id := range ids {
		if err := q.claimImage(id); err != nil {
			return err
		}
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if err := q.setTag(ids[len(ids)-1], name); err != nil {
			return err
		}
		if err := q.note("Successfully tagged " + familiar(name)); err != nil {
			return err
		}
	}
	return nil
}

// familiar returns a name as people write it.
func familiar(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/")
}

const maxArchiveManifest = 4 << 20 // bytes

// load makes images of an archive. The names in it are taken out on the way and
// given afterwards, if they are the team's to give.
func (q *request) load() error {
	if err := q.admit(ActionBuild); err != nil {
		return err
	}
	if err := q.allow("load", "load images"); err != nil {
		return err
	}
	var named []archived
	body := retar(q.r.Body, func(h *tar.Header, r io.Reader) (io.Reader, error) {
		switch cleanEntry(h.Name) {
		case "repositories", "index.json", "oci-layout":
			return nil, nil
		case "manifest.json":
			data, err := wholeEntry(h, r, maxArchiveManifest)
			if err != nil {
				return nil, err
			}
			named, data, err = withoutNames(data)
			h.Size = int64(len(data))
			return bytes.NewReader(data), err
		}
		return r, nil
	})
	defer body.Close()
	var ids []string
	failed, err := q.progress(outgoing{method: http.MethodPost, path: "images/load", query: q.query.Values, body: body, length: -1, kind: "application/x-tar"}, func(m message) {
		if id := m.id(); id != "" && len(ids) < 1000 {
			ids = append(ids, id)
		}
	})
	if why := body.err(); why != nil && !q.answered {
		return why
	}
	if err != nil || failed {
		return err
	}
	return q.ending(q.keepLoaded(ids, named))
}

// archived is one image of an archive (the format of "docker save").
type archived struct {
	Config   string
	RepoTags []string
	Layers   []string
	Parent   string                     `json:",omitempty"`
	Sources  map[string]json.RawMessage `json:"LayerSources,omitempty"`
}

// withoutNames returns an archive's manifest without the names in it.
func withoutNames(data []byte) (named []archived, bare []byte, err error) {
	if err := decodeBody(data, &named, nil); err != nil {
		return nil, nil, err
	}
	without := slices.Clone(named)
	for i := range without {
		without[i].RepoTags = nil
	}
	bare, err = json.Marshal(without)
	return named, bare, err
}

func (q *request) keepLoaded(ids []string, named []archived) error {
	for _, id := range ids {
		if err := q.claimImage(id); err != nil {
			return err
		}
	}
	for i, image := range named {
		for _, name := range image.RepoTags {
			if i >= len(ids) || len(ids) != len(named) {
				return fault.Errorf(fault.Unavailable, "the engine loaded %d images of %d: no names were given", len(ids), len(named))
			}
			repo, tag := cutTag(name)
			full, err := q.claimName(repo, tag)
			if err != nil {
				return err
			}
			if err := q.setTag(ids[i], full); err != nil {
				return err
			}
			if err := q.note("Loaded image: " + name); err != nil {
				return err
			}
		}
	}
	return nil
}

// cutTag splits "repo:tag" at the colon after the last slash.
func cutTag(name string) (repo, tag string) {
	i := strings.LastIndex(name, ":")
	if i < 0 || strings.Contains(name[i:], "/") {
		return name, ""
	}
	return name[:i], name[i+1:]
}
