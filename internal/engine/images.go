package engine

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Whose an image is. An engine keeps one store for all, so an image may be
// several teams': the first that pulled or made it holds KindImage of its ID, the
// others KindImage of "TEAM/ID". One that nobody holds was there before the proxy
// and may be seen by all if it has a name; without one it may be what somebody is
// just making. Whether it may run is the guard's to say in any case.
//
// A name that a team gave to an image (by tag, build, commit or load) is that
// team's KindTag. A pull takes a name from whoever holds it: what a registry calls
// something comes first. So nobody can put a name that others use on another
// image.

var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{4,64}$`)

func imageRoutes() []route {
	const i = "images/{name...}"
	return []route{
		get("images/json", "all filters filter digests shared-size manifests identity", (*request).listImages),
		get("images/search", "term limit filters", (*request).search),
		get("images/get", "names* platform*", (*request).save),
		post("images/create", "fromImage fromSrc repo tag message platform changes*", (*request).pull).withBody(),
		post("images/load", "quiet platform*", (*request).load).withBody(),
		post("images/prune", "filters", (*request).pruneImages),
		get(i+"/json", "manifests platform", (*request).ofImage),
		get(i+"/history", "platform", (*request).ofImage),
		get(i+"/get", "platform*", (*request).save),
		post(i+"/push", "tag platform", (*request).push).withBody(),
		post(i+"/tag", "repo tag", (*request).tag),
		del(i, "force noprune platforms*", (*request).untag),
	}
}

// imageName checks what may stand for an image: a reference or an ID.
func imageName(name string) error {
	if imageID.MatchString(name) {
		return nil
	}
	if _, err := ref.Parse(name); err != nil {
		return fault.Errorf(fault.Invalid, "%q is not an image's name", clip(name))
	}
	return nil
}

// normalised returns a name in full, or "" if it is an ID.
func normalised(name string) string {
	if strings.HasPrefix(name, "sha256:") || fullID.MatchString(name) {
		return ""
	}
	r, err := ref.Parse(name)
	if err != nil {
		return ""
	}
	return r.String()
}

// image returns the image that a name or ID stands for, if the team may see it.
func (q *request) image(name string) (engineImage, error) {
	var found engineImage
	if err := imageName(name); err != nil {
		return found, err
	}
	err := q.ask(outgoing{method: http.MethodGet, path: "images/" + name + "/json"}, &found)
	if isStatus(err, http.StatusNotFound) {
		return found, notFound("image", name)
	}
	if err != nil {
		return found, err
	}
	if _, err := ref.ParseDigest(found.ID); err != nil {
		return found, fault.Errorf(fault.Unavailable, "the engine gives image %q the ID %q", name, found.ID)
	}
	ok, err := q.sees(found.ID, len(found.RepoTags) > 0)
	if err == nil && !ok {
		q.foreign("image", name)
		return found, notFound("image", name)
	}
	return found, err
}

// sees reports whether the team may see the image, which may have a name.
func (q *request) sees(id string, named bool) (bool, error) {
	team, err := q.p.Guard.Owner(q.ctx(), KindImage, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return named, nil
	case err != nil:
		return false, err
	case team == q.team:
		return true, nil
	}
	team, err = q.p.Guard.Owner(q.ctx(), KindImage, q.team+"/"+id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && team == q.team, err
}

// claimImage says that the team has the image.
func (q *request) claimImage(id string) error {
	if _, err := ref.ParseDigest(id); err != nil {
		return fault.Errorf(fault.Unavailable, "the engine gives an image the ID %q", clip(id))
	}
	err := q.p.Guard.Claim(q.ctx(), KindImage, id, q.team)
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	if err := q.p.Guard.Claim(q.ctx(), KindImage, sharedImage+id, q.team); err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	return q.p.Guard.Claim(q.ctx(), KindImage, q.team+"/"+id, q.team)
}

// sharedImage and an ID say that more than one team has had the image. No team has
// a star in its name.
const sharedImage = "*/"

// claimName claims a name that the team gives to an image of its own making. A
// name that another team or a registry's image has is not free. No name is fine.
func (q *request) claimName(repo, tag string) (string, error) {
	if repo == "" {
		if tag != "" {
			return "", fault.Errorf(fault.Invalid, "a tag without a repository")
		}
		return "", nil
	}
	name := repo
	if tag != "" {
		name += ":" + tag
	}
	r, err := ref.Parse(name)
	if err != nil || r.Digest != "" || imageID.MatchString(name) {
		return "", fault.Errorf(fault.Invalid, "%q is not a name that an image can be given", clip(name))
	}
	return r.String(), q.claimTag(r.String())
}

func (q *request) claimTag(name string) error {
	owned, err := q.owns(KindTag, name)
	if err != nil || owned {
		return err
	}
	err = q.ask(outgoing{method: http.MethodGet, path: "images/" + name + "/json"}, nil)
	if err == nil {
		return fault.Hint(denied("the name %q is in use on this host and is not the team's", name), "choose another name or tag")
	}
	if !isStatus(err, http.StatusNotFound) {
		return err
	}
	err = q.p.Guard.Claim(q.ctx(), KindTag, name, q.team)
	if fault.Is(err, fault.Conflict) {
		return fault.Hint(denied("the name %q is another team's", name), "choose another name or tag")
	}
	return err
}

func (q *request) listImages() error {
	kept, err := q.keep("images/json", q.query.Values, q.mineImage)
	if err != nil {
		return err
	}
	writeJSON(q.w, http.StatusOK, kept)
	return nil
}

func (q *request) search() error {
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	_, err := q.pass(outgoing{method: http.MethodGet, path: "images/search", query: q.query.Values, registry: true})
	return err
}

func (q *request) ofImage() error {
	image, err := q.image(q.name)
	if err != nil {
		return err
	}
	_, err = q.same("images/" + image.ID + "/" + q.target.segments[len(q.target.segments)-1])
	return err
}

// save exports images, each of which the team may see.
func (q *request) save() error {
	names := q.query.Values["names"]
	if q.name != "" {
		names = []string{q.name}
	}
	if len(names) == 0 {
		return fault.Errorf(fault.Invalid, "no image is named")
	}
	for _, name := range names {
		if _, err := q.image(name); err != nil {
			return err
		}
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	if err := q.allow("save", "save images %.200q", names); err != nil {
		return err
	}
	query := q.query.Values
	query["names"] = names
	_, err := q.pass(outgoing{method: http.MethodGet, path: "images/get", query: query})
	return err
}

func (q *request) tag() error {
	image, err := q.image(q.name)
	if err != nil {
		return err
	}
	if err := q.admit(ActionBuild); err != nil {
		return err
	}
	name, err := q.claimName(q.query.Get("repo"), q.query.Get("tag"))
	if err != nil {
		return err
	}
	if err := q.allow("tag", "tag image %s as %q", image.ID, name); err != nil {
		return err
	}
	if err := q.setTag(image.ID, name); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusCreated)
	return nil
}

// setTag gives an image a name.
func (q *request) setTag(id, name string) error {
	r, err := ref.Parse(name)
	if err != nil {
		return err
	}
	query := url.Values{"repo": {string(r.GUN())}, "tag": {r.Tag}}
	return q.ask(outgoing{method: http.MethodPost, path: "images/" + id + "/tag", query: query}, nil)
}

// push sends an image to a registry, under a name that the team may see. Older
// clients send their credentials in a body as well, which is not passed on.
func (q *request) push() error {
	name := q.name
	tag := q.query.Get("tag")
	if tag == "" {
		return fault.Hint(fault.Errorf(fault.Invalid, "a push names a tag"), "docker push %s:TAG", name)
	}
	r, err := ref.Parse(name + ":" + tag)
	if err != nil {
		return fault.Errorf(fault.Invalid, "%q is not an image's name", clip(name+":"+tag))
	}
	image, err := q.image(name + ":" + tag)
	if err != nil {
		return err
	}
	if err := q.admit(ActionBuild); err != nil {
		return err
	}
	if err := q.allow("push", "push image %s as %q", image.ID, r); err != nil {
		return err
	}
	_, err = q.pass(outgoing{method: http.MethodPost, path: "images/" + name + "/push", query: q.query.Values, registry: true, body: http.NoBody, kind: "text/plain"})
	return err
}

// untag removes a name, and the image with its last one. An image that other
// teams may have is only put out of this team's sight.
func (q *request) untag() error {
	image, err := q.image(q.name)
	if err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	first, err := q.p.Guard.Owner(q.ctx(), KindImage, image.ID)
	if fault.Is(err, fault.NotFound) {
		return denied("image %q is not the team's", q.name)
	}
	if err != nil {
		return err
	}
	name := image.called(q.name)
	ownTag := false
	if name != "" {
		if ownTag, err = q.owns(KindTag, name); err != nil {
			return err
		}
	}
	if first != q.team && !ownTag {
		if err := q.p.Guard.Disown(q.ctx(), KindImage, q.team+"/"+image.ID); err != nil {
			return err
		}
		writeJSON(q.w, http.StatusOK, []map[string]string{{"Untagged": q.name}})
		return nil
	}
	if err := q.onlyOurs(image, ownTag); err != nil {
		return err
	}
	if err := q.allow("untag", "remove image %s (%s)", image.ID, q.name); err != nil {
		return err
	}
	return q.delete(image, name, ownTag)
}

// called returns the image's name that was meant, in full, or "" if it was meant
// by its ID: an engine looks for names first.
func (i engineImage) called(asked string) string {
	name := normalised(asked)
	for _, has := range slices.Concat(i.RepoTags, i.RepoDigests) {
		if name != "" && normalised(has) == name {
			return name
		}
	}
	return ""
}

// onlyOurs refuses to remove what others have as well: an image that another team
// pulled too, or gave a name. A name of the team's own may go as long as the image
// has another.
func (q *request) onlyOurs(image engineImage, ownTag bool) error {
	if ownTag && len(image.RepoTags) > 1 {
		return nil
	}
	_, err := q.p.Guard.Owner(q.ctx(), KindImage, sharedImage+image.ID)
	if err == nil {
		return denied("image %q is another team's too: it stays", q.name)
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, tag := range image.RepoTags {
		team, err := q.p.Guard.Owner(q.ctx(), KindTag, normalised(tag))
		if err == nil && team != q.team {
			return denied("image %q has a name of another team's: it stays", q.name)
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// delete removes a name or an image, exactly the one that was judged, and forgets
// whose it was.
func (q *request) delete(image engineImage, name string, ownTag bool) error {
	what := name
	if what == "" {
		what = image.ID
	}
	var gone []struct{ Deleted, Untagged string }
	if err := q.ask(outgoing{method: http.MethodDelete, path: "images/" + what, query: q.query.Values}, &gone); err != nil {
		return err
	}
	if ownTag {
		if err := q.p.Guard.Disown(q.ctx(), KindTag, name); err != nil {
			return err
		}
	}
	answer := []map[string]string{}
	for _, g := range gone {
		switch {
		case g.Deleted != "":
			answer = append(answer, map[string]string{"Deleted": g.Deleted})
			if g.Deleted == image.ID {
				if err := q.p.Guard.Disown(q.ctx(), KindImage, image.ID); err != nil {
					return err
				}
				if err := q.p.Guard.Disown(q.ctx(), KindImage, sharedImage+image.ID); err != nil {
					return err
				}
			}
		default:
			answer = append(answer, map[string]string{"Untagged": g.Untagged})
		}
	}
	writeJSON(q.w, http.StatusOK, answer)
	return nil
}

// pruneImages removes what the team made and nobody names any more.
func (q *request) pruneImages() error {
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	filters, err := parseFilters(q.query.Get("filters"))
	if err != nil {
		return err
	}
	for name := range filters {
		if name != "dangling" || len(filters[name]) != 1 || filters[name][0] != "true" && filters[name][0] != "1" {
			return fault.Hint(denied("only images without a name are pruned"), "docker rmi NAME")
		}
	}
	loose, err := q.keep("images/json", url.Values{"filters": {`{"dangling":{"true":true}}`}}, func(o object) (bool, error) {
		return q.owns(KindImage, o.text("Id"))
	})
	if err != nil {
		return err
	}
	removed := []json.RawMessage{}
	for _, o := range loose {
		var gone []json.RawMessage
		if q.ask(outgoing{method: http.MethodDelete, path: "images/" + o.text("Id")}, &gone) != nil {
			continue // a container uses it
		}
		removed = append(removed, gone...)
		if err := q.p.Guard.Disown(q.ctx(), KindImage, o.text("Id")); err != nil {
			return err
		}
	}
	writeJSON(q.w, http.StatusOK, map[string]any{"ImagesDeleted": removed, "SpaceReclaimed": 0})
	return nil
}
