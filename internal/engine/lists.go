package engine

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"plimsoll/internal/fault"
)

// object is a JSON object of which only what is looked at is decoded.
type object map[string]json.RawMessage

func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o[name], &s) != nil {
		return ""
	}
	return s
}

// keep asks the engine for a list and leaves in what is the team's.
func (q *request) keep(path string, query url.Values, mine func(object) (bool, error)) ([]object, error) {
	var all []object
	if err := q.ask(outgoing{method: http.MethodGet, path: path, query: query}, &all); err != nil {
		return nil, err
	}
	return filter(all, mine)
}

func filter(all []object, mine func(object) (bool, error)) ([]object, error) {
	kept := []object{}
	for _, o := range all {
		ok, err := mine(o)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

func (q *request) mineContainer(o object) (bool, error) {
	_, err := q.ownContainer(o.text("Id"))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func (q *request) mineVolume(o object) (bool, error) {
	team, err := q.p.Guard.Owner(q.ctx(), KindVolume, o.text("Name"))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && team == q.team, err
}

func (q *request) mineNetwork(o object) (bool, error) {
	if slices.Contains(builtin, o.text("Name")) {
		hideMembers(o)
		return true, nil
	}
	team, err := q.p.Guard.Owner(q.ctx(), KindNetwork, o.text("Id"))
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && team == q.team, err
}

// mineImage keeps images that the team may see, and of their names those that are
// not another team's.
func (q *request) mineImage(o object) (bool, error) {
	var tags []string
	if json.Unmarshal(o["RepoTags"], &tags) != nil {
		tags = nil
	}
	ok, err := q.sees(o.text("Id"), len(tags) > 0 && tags[0] != "<none>:<none>")
	if err != nil || !ok || len(tags) == 0 {
		return ok && err == nil, err
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool {
		team, err := q.p.Guard.Owner(q.ctx(), KindTag, normalised(tag))
		return err == nil && team != q.team
	})
	if o["RepoTags"], err = json.Marshal(tags); err != nil {
		return false, fault.As(fault.Internal, err)
	}
	return true, nil
}

// listContainers asks for all containers where a limit was given: it is of the
// team's, not of the host's.
func (q *request) listContainers() error {
	query := q.query.Values
	limit, err := number(query, "limit")
	if err != nil {
		return err
	}
	query.Del("limit")
	if limit > 0 {
		query.Set("all", "1")
	}
	kept, err := q.keep("containers/json", query, q.mineContainer)
	if err != nil {
		return err
	}
	if limit > 0 && int64(len(kept)) > limit {
		kept = kept[:limit]
	}
	writeJSON(q.w, http.StatusOK, kept)
	return nil
}

func (q *request) listNetworks() error {
	kept, err := q.keep("networks", q.query.Values, q.mineNetwork)
	if err != nil {
		return err
	}
	writeJSON(q.w, http.StatusOK, kept)
	return nil
}

func (q *request) listVolumes() error {
	kept, err := q.ownVolumes(q.query.Values)
	if err != nil {
		return err
	}
	writeJSON(q.w, http.StatusOK, map[string]any{"Volumes": kept, "Warnings": nil})
	return nil
}

func (q *request) ownVolumes(query url.Values) ([]object, error) {
	var all struct{ Volumes []object }
	if err := q.ask(outgoing{method: http.MethodGet, path: "volumes", query: query}, &all); err != nil {
		return nil, err
	}
	return filter(all.Volumes, q.mineVolume)
}

// parseFilters reads the filters of a request: a set, or in older versions a list,
// of values for each name.
func parseFilters(s string) (map[string][]string, error) {
	filters := map[string][]string{}
	if s == "" {
		return filters, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &raw); err != nil {
		return nil, fault.Errorf(fault.Invalid, "filters: %w", err)
	}
	for name, values := range raw {
		var set map[string]bool
		var list []string
		switch {
		case json.Unmarshal(values, &list) == nil:
		case json.Unmarshal(values, &set) == nil:
			for v, on := range set {
				if on {
					list = append(list, v)
				}
			}
		default:
			return nil, fault.Errorf(fault.Invalid, "filters: %q is neither a list nor a set", clip(name))
		}
		filters[name] = list
	}
	return filters, nil
}

// ownFilters adds to the request's filters that only what bears the team's label
// is meant. The label is stamped on all that the team makes.
func (q *request) ownFilters() (url.Values, error) {
	filters, err := parseFilters(q.query.Get("filters"))
	if err != nil {
		return nil, err
	}
	filters["label"] = append(filters["label"], teamLabel+"="+q.team)
	sets := map[string]map[string]bool{}
	for name, values := range filters {
		sets[name] = map[string]bool{}
		for _, v := range values {
			sets[name][v] = true
		}
	}
	data, err := json.Marshal(sets)
	if err != nil {
		return nil, fault.As(fault.Internal, err)
	}
	return url.Values{"filters": {string(data)}}, nil
}

// prune removes what bears the team's label and forgets what was removed.
func (q *request) prune(path string, forget func(id string) error) error {
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	query, err := q.ownFilters()
	if err != nil {
		return err
	}
	var report struct {
		ContainersDeleted []string `json:",omitempty"`
		NetworksDeleted   []string `json:",omitempty"`
		SpaceReclaimed    uint64
	}
	if err := q.ask(outgoing{method: http.MethodPost, path: path, query: query}, &report); err != nil {
		return err
	}
	for _, id := range slices.Concat(report.ContainersDeleted, report.NetworksDeleted) {
		if err := forget(id); err != nil {
			return err
		}
	}
	writeJSON(q.w, http.StatusOK, report)
	return nil
}

func (q *request) pruneContainers() error {
	return q.prune("containers/prune", func(id string) error { return q.p.Guard.Removed(q.ctx(), id) })
}

// pruneNetworks forgets no claims: the engine says only the names of what it
// removed, and a claim is of an ID, which does not come again.
func (q *request) pruneNetworks() error {
	return q.prune("networks/prune", func(string) error { return nil })
}

// pruneVolumes removes the team's volumes that no container uses. Those that the
// engine named bear no label, so that the engine cannot be told whose to remove.
func (q *request) pruneVolumes() error {
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	filters, err := parseFilters(q.query.Get("filters"))
	if err != nil {
		return err
	}
	if len(filters["label"])+len(filters["label!"]) > 0 {
		return denied("volumes are pruned without filters by label")
	}
	unused, err := q.ownVolumes(url.Values{"filters": {`{"dangling":{"true":true}}`}})
	if err != nil {
		return err
	}
	removed := []string{}
	for _, v := range unused {
		if err := q.dropVolume(v.text("Name"), nil); err == nil {
			removed = append(removed, v.text("Name"))
		}
	}
	writeJSON(q.w, http.StatusOK, map[string]any{"VolumesDeleted": removed, "SpaceReclaimed": 0})
	return nil
}

// maxEvent bounds one event, in bytes.
const maxEvent = 1 << 20

// events carries those events that are of the team's things.
func (q *request) events() error {
	resp, err := q.send(q.ctx(), outgoing{method: http.MethodGet, path: "events", query: q.query.Values})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return said(resp)
	}
	q.begin(resp)
	flush := http.NewResponseController(q.w)
	if err := flush.Flush(); err != nil {
		return gone(err)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	for lines.Scan() {
		if !q.mineEvent(lines.Bytes()) {
			continue
		}
		if _, err := q.w.Write(append(lines.Bytes(), '\n')); err != nil {
			return gone(err)
		}
		if err := flush.Flush(); err != nil {
			return gone(err)
		}
	}
	return gone(lines.Err())
}

// mineEvent reports whether an event is of the team's. A container that is gone, or
// is just being made, is known by the label that it was given, one that is
// remembered by that: a build's containers have whatever labels their image has; those of images nobody is shown but
// for those of the team's own.
func (q *request) mineEvent(line []byte) bool {
	var e struct {
		Type   string
		Action string
		Actor  struct {
			ID         string
			Attributes map[string]string
		}
	}
	if json.Unmarshal(line, &e) != nil {
		return false
	}
	var mine bool
	switch e.Type {
	case "container":
		c, err := q.p.Guard.Container(q.ctx(), e.Actor.ID)
		mine = err == nil && c.Team == q.team ||
			fault.Is(err, fault.NotFound) && (e.Action == "create" || e.Action == "destroy") && e.Actor.Attributes[teamLabel] == q.team
	case "volume":
		mine, _ = q.mineVolume(object{"Name": quoted(e.Actor.ID)})
	case "network":
		team, err := q.p.Guard.Owner(q.ctx(), KindNetwork, e.Actor.ID)
		mine = err == nil && team == q.team
	}
	return mine
}

func quoted(s string) json.RawMessage {
	data, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	return data
}
