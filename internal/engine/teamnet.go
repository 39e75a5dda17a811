package engine

import (
	"net/http"
	"sync"
	"time"

	"github.com/moby/moby/api/types/network"

	"plimsoll/internal/fault"
)

// The engine's own bridge is one for all: on it every container reaches every
// other, can take its address and answer in its place. So a team has a network of
// its own instead, made when it is first needed and named "plimsoll-TEAM"; the
// engine keeps its bridges apart. Nobody but the proxy gives networks such names
// or networkLabel.
const (
	networkPrefix = "plimsoll-"
	networkLabel  = labelPrefix + "network"
)

const (
	// networksEach is how many networks a team may have beside that: engines have
	// addresses for about thirty.
	networksEach = 8
	// networkFor is for how long a team's network is taken to be there still. Only
	// the host's root removes it.
	networkFor = 5 * time.Second
)

// teamNetworks remembers the IDs of teams' networks for a moment. It is locked
// while one is made.
type teamNetworks struct {
	sync.Mutex
	ids map[string]networkSeen
}

type networkSeen struct {
	id    string
	until time.Time
}

// teamNetwork returns the ID of the network that the team has in the place of the
// engine's bridge.
func (q *request) teamNetwork() (string, error) {
	q.p.networks.Lock()
	defer q.p.networks.Unlock()
	now := q.p.Now()
	if seen := q.p.networks.ids[q.team]; now.Before(seen.until) {
		return seen.id, nil
	}
	id, err := q.findTeamNetwork()
	if err != nil {
		return "", err
	}
	if err := q.p.Guard.Claim(q.ctx(), KindNetwork, id, q.team); err != nil {
		return "", err
	}
	if q.p.networks.ids == nil {
		q.p.networks.ids = map[string]networkSeen{}
	}
	q.p.networks.ids[q.team] = networkSeen{id, now.Add(networkFor)}
	return id, nil
}

// findTeamNetwork finds or makes the network.
func (q *request) findTeamNetwork() (string, error) {
	name := networkPrefix + q.team
	var n engineNetwork
	err := q.ask(outgoing{method: http.MethodGet, path: "networks/" + name}, &n)
	switch {
	case err == nil && n.Name == name && n.Driver == "bridge" && n.Labels[networkLabel] == q.team:
		return n.ID, nil
	case err == nil && n.Name == name:
		return "", fault.Hint(denied("the network %q was not made by the guard", name), "docker network rm %s, as root on the engine's own socket", name)
	case err != nil && !isStatus(err, http.StatusNotFound):
		return "", err
	}
	o, err := jsonBody("networks/create", nil, createdNetwork{
		CheckDuplicate: true,
		CreateRequest:  network.CreateRequest{Name: name, Driver: "bridge", Labels: map[string]string{networkLabel: q.team}},
	})
	if err != nil {
		return "", err
	}
	var made network.CreateResponse
	if err := q.ask(o, &made); err != nil {
		return "", fault.Hint(fault.Errorf(fault.Unavailable, "the team's network cannot be made: %w", err),
			"if addresses ran out: docker network prune, or more default-address-pools in the engine's daemon.json")
	}
	return made.ID, nil
}

// countNetworks refuses one more network than the team may have.
func (q *request) countNetworks() error {
	own, err := q.keep("networks", nil, func(o object) (bool, error) {
		team, err := q.p.Guard.Owner(q.ctx(), KindNetwork, o.text("Id"))
		if fault.Is(err, fault.NotFound) {
			return false, nil
		}
		return err == nil && team == q.team && o.text("Name") != networkPrefix+q.team, err
	})
	if err == nil && len(own) >= networksEach {
		return fault.Hint(denied("the team has %d networks, which is as many as it may have", len(own)), "docker network prune")
	}
	return err
}
