package engine

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/internal/fault"
)

// builtin networks belong to nobody: all may see that they are there.
var builtin = []string{"bridge", "host", "none"}

var networkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$`)

func networkRoutes() []route {
	return []route{
		get("networks", "filters", (*request).listNetworks),
		get("networks/{name}", "verbose scope", (*request).inspectNetwork),
		post("networks/create", "", (*request).createNetwork).withBody(),
		post("networks/prune", "filters", (*request).pruneNetworks),
		post("networks/{name}/connect", "", (*request).connect).withBody(),
		post("networks/{name}/disconnect", "", (*request).disconnect).withBody(),
		del("networks/{name}", "", (*request).removeNetwork),
	}
}

// engineNetwork is what an engine says of a network.
type engineNetwork struct {
	ID     string `json:"Id"`
	Name   string
	Driver string
	Labels map[string]string
}

// network returns the network that a name or ID stands for, if it is the team's
// or one of the engine's own.
func (q *request) network(name string) (engineNetwork, error) {
	var n engineNetwork
	if !networkName.MatchString(name) {
		return n, notFound("network", name)
	}
	err := q.ask(outgoing{method: http.MethodGet, path: "networks/" + name}, &n)
	if isStatus(err, http.StatusNotFound) {
		return n, notFound("network", name)
	}
	if err != nil {
		return n, err
	}
	if slices.Contains(builtin, n.Name) && builtinDriver(n) {
		return n, nil
	}
	owned, err := q.owns(KindNetwork, n.ID)
	if err == nil && !owned {
		err = notFound("network", name)
	}
	return n, err
}

func builtinDriver(n engineNetwork) bool {
	return n.Driver == n.Name || n.Name == "none" && n.Driver == "null"
}

// owns reports whether the thing is the team's.
func (q *request) owns(kind, name string) (bool, error) {
	team, err := q.p.Guard.Owner(q.ctx(), kind, name)
	switch {
	case fault.Is(err, fault.NotFound):
		return false, nil
	case err != nil:
		return false, err
	case team != q.team:
		q.foreign(kind, name)
		return false, nil
	}
	return true, nil
}

// joinable returns the full ID of a network that a container of the team may
// join; the engine's own keep their names, which engines know them by.
func (q *request) joinable(name string) (string, error) {
	switch {
	case name == "none":
		return name, nil
	case q.profile.Network.Mode != "bridge":
		return "", denied("network %q: the profile grants none", clip(name))
	case name == "bridge" || name == "default":
		return q.teamNetwork()
	}
	n, err := q.network(name)
	switch {
	case err != nil:
		return "", err
	case n.Name == "host":
		return "", denied("the network of the host may not be joined")
	case slices.Contains(builtin, n.Name):
		return q.joinable(n.Name)
	case n.Driver != "bridge":
		return "", denied("network %q: the driver %q may not be used", clip(name), n.Driver)
	}
	return n.ID, nil
}

// networkMode judges HostConfig.NetworkMode and returns what the network's name
// is passed on as.
func (q *request) networkMode(h *container.HostConfig) (map[string]string, error) {
	mode := string(h.NetworkMode)
	if strings.HasPrefix(mode, "container:") {
		m, err := q.shared("NetworkMode", mode)
		h.NetworkMode = container.NetworkMode(m)
		return nil, err
	}
	wanted := mode
	if mode == "" || mode == "default" {
		wanted = q.profile.Network.Mode
	}
	id, err := q.joinable(wanted)
	if err != nil {
		return nil, err
	}
	h.NetworkMode = container.NetworkMode(id)
	return map[string]string{mode: id}, nil
}

// networkFields may be said of a new network. Drivers other than bridge, and
// options, would reach the host's interfaces.
var networkFields = allowed("Name Driver Scope EnableIPv4 EnableIPv6 IPAM Internal Attachable Labels")

// createdNetwork is what goes on to the engine: one that is older than 1.44 makes
// a second network of the same name unless told to look.
type createdNetwork struct {
	network.CreateRequest
	CheckDuplicate bool
}

func (q *request) createNetwork() error {
	body := createdNetwork{CheckDuplicate: true}
	if err := q.read(&body.CreateRequest, legacyNetwork); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	if err := q.checkNetwork(&body.CreateRequest); err != nil {
		return err
	}
	q.p.networks.Lock()
	defer q.p.networks.Unlock()
	if err := q.countNetworks(); err != nil {
		return err
	}
	if err := q.allow("network", "create network %q", body.Name); err != nil {
		return err
	}
	o, err := jsonBody("networks/create", nil, body)
	if err != nil {
		return err
	}
	var made network.CreateResponse
	if err := q.ask(o, &made); err != nil {
		if isStatus(err, http.StatusConflict) {
			return fault.Errorf(fault.Conflict, "network with name %s already exists on this host", body.Name)
		}
		return err
	}
	if err := q.p.Guard.Claim(q.ctx(), KindNetwork, made.ID, q.team); err != nil {
		if err := q.ask(outgoing{method: http.MethodDelete, path: "networks/" + made.ID}, nil); err != nil {
			q.p.Log.Error("remove a network that could not be recorded", slog.String("id", made.ID), slog.Any("err", err))
		}
		return err
	}
	writeJSON(q.w, http.StatusCreated, made)
	return nil
}

func (q *request) checkNetwork(n *network.CreateRequest) error {
	if q.profile.Network.Mode != "bridge" {
		return denied("the profile grants no network")
	}
	if err := networkFields.check(n, ""); err != nil {
		return err
	}
	switch {
	case !networkName.MatchString(n.Name) || slices.Contains(builtin, n.Name) || n.Name == "default" || likeID.MatchString(n.Name) || strings.HasPrefix(n.Name, networkPrefix):
		return fault.Errorf(fault.Invalid, "%q may not be a network's name", clip(n.Name))
	case n.Driver != "" && n.Driver != "bridge":
		return fault.Hint(denied("the network driver %q may not be used: it reaches the host's own networks", clip(n.Driver)), "--driver bridge")
	case n.Scope != "" && n.Scope != "local":
		return denied("the scope %q may not be asked for", clip(n.Scope))
	case n.IPAM != nil && (n.IPAM.Driver != "" && n.IPAM.Driver != "default" || len(n.IPAM.Options) > 0):
		return denied("IPAM.Driver and IPAM.Options may not be asked for")
	case n.IPAM != nil && len(n.IPAM.Config) > 0:
		return fault.Hint(denied("addresses of networks may not be chosen: the host's own packets to them would come here"), "leave out --subnet, --gateway and --ip-range")
	}
	n.Driver, n.Scope, n.Attachable = "bridge", "", false
	if err := checkLabels(n.Labels); err != nil {
		return err
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[teamLabel] = q.team
	return nil
}

func (q *request) connect() error {
	var body network.ConnectRequest
	if err := q.read(&body, nil); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	c, err := q.container(body.Container)
	if err != nil {
		return err
	}
	body.Container = c.ID
	id, err := q.joinable(q.name)
	if err != nil {
		return err
	}
	if e := body.EndpointConfig; e != nil {
		for i, link := range e.Links {
			name, alias, _ := strings.Cut(link, ":")
			linked, err := q.container(name)
			if err != nil {
				return err
			}
			e.Links[i] = shortLink(linked.ID + ":" + alias)
		}
		links := e.Links
		e.Links = nil
		if err := checkEndpoint(e); err != nil {
			return err
		}
		e.Links = links
	}
	if err := q.allow("network", "connect container %s to network %s", c.ID, id); err != nil {
		return err
	}
	return q.passJSON("networks/"+id+"/connect", body)
}

func (q *request) disconnect() error {
	var body network.DisconnectRequest
	if err := q.read(&body, nil); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	c, err := q.container(body.Container)
	if err != nil {
		return err
	}
	body.Container = c.ID
	id, err := q.leavable(q.name)
	if err != nil {
		return err
	}
	return q.passJSON("networks/"+id+"/disconnect", body)
}

// leavable returns the ID of a network that a container of the team may be taken
// off.
func (q *request) leavable(name string) (string, error) {
	if name == "bridge" || name == "default" {
		return q.teamNetwork()
	}
	n, err := q.network(name)
	return n.ID, err
}

func (q *request) removeNetwork() error {
	n, err := q.network(q.name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(n.Name, networkPrefix) {
		return denied("the network %q takes the place of the engine's bridge and stays", n.Name)
	}
	if slices.Contains(builtin, n.Name) {
		return denied("the network %q is the engine's own", n.Name)
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	if err := q.ask(outgoing{method: http.MethodDelete, path: "networks/" + n.ID}, nil); err != nil {
		return err
	}
	if err := q.p.Guard.Disown(q.ctx(), KindNetwork, n.ID); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}

// inspectNetwork leaves out of the engine's own networks which containers are on
// them.
func (q *request) inspectNetwork() error {
	n, err := q.network(q.name)
	if err != nil {
		return err
	}
	if !slices.Contains(builtin, n.Name) {
		_, err = q.same("networks/" + n.ID)
		return err
	}
	var all map[string]json.RawMessage
	if err := q.ask(outgoing{method: http.MethodGet, path: "networks/" + n.ID}, &all); err != nil {
		return err
	}
	hideMembers(all)
	writeJSON(q.w, http.StatusOK, all)
	return nil
}

func hideMembers(n map[string]json.RawMessage) {
	for _, name := range []string{"Containers", "Status", "Peers", "Services"} {
		if _, ok := n[name]; ok {
			n[name] = json.RawMessage("{}")
		}
	}
}
