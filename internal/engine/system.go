package engine

import (
	"net/http"

	"github.com/moby/moby/api/types/registry"
)

func systemRoutes() []route {
	return []route{
		get("_ping", "", (*request).plain).withoutTeam(),
		{method: http.MethodHead, pattern: "_ping", open: true, do: (*request).plain},
		get("version", "", (*request).plain).withoutTeam(),
		get("info", "", (*request).info),
		get("events", "since until filters", (*request).events),
		get("system/df", "type* verbose", (*request).diskUsage),
		post("auth", "", (*request).auth).withBody(),
		get("distribution/{name...}/json", "", (*request).distribution),
	}
}

func (q *request) plain() error {
	_, err := q.same(q.target.segments[0])
	return err
}

// hidden are members of the engine's information that say what it has of others,
// or how it reaches the world.
var hidden = []string{"HttpProxy", "HttpsProxy", "NoProxy", "Labels", "Swarm", "DriverStatus", "SystemStatus", "GenericResources", "ClusterStore", "ClusterAdvertise", "DiscoveredDevices", "CDISpecDirs", "Containerd"}

func (q *request) info() error {
	var all object
	if err := q.ask(outgoing{method: http.MethodGet, path: "info"}, &all); err != nil {
		return err
	}
	for _, name := range hidden {
		delete(all, name)
	}
	counts := map[string]int{"Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0, "Images": 0}
	own, err := q.keep("containers/json", map[string][]string{"all": {"1"}}, q.mineContainer)
	if err != nil {
		return err
	}
	for _, c := range own {
		counts["Containers"]++
		switch c.text("State") {
		case "running":
			counts["ContainersRunning"]++
		case "paused":
			counts["ContainersPaused"]++
		default:
			counts["ContainersStopped"]++
		}
	}
	images, err := q.keep("images/json", nil, q.mineImage)
	if err != nil {
		return err
	}
	counts["Images"] = len(images)
	answer := map[string]any{}
	for name, v := range all {
		answer[name] = v
	}
	for name, n := range counts {
		answer[name] = n
	}
	writeJSON(q.w, http.StatusOK, answer)
	return nil
}

// diskUsage says what the team's things take.
func (q *request) diskUsage() error {
	var all struct {
		Images     []object
		Containers []object
		Volumes    []object
	}
	if err := q.ask(outgoing{method: http.MethodGet, path: "system/df", query: q.query.Values}, &all); err != nil {
		return err
	}
	for _, part := range []struct {
		list *[]object
		mine func(object) (bool, error)
	}{{&all.Images, q.mineImage}, {&all.Containers, q.mineContainer}, {&all.Volumes, q.mineVolume}} {
		kept, err := filter(*part.list, part.mine)
		if err != nil {
			return err
		}
		*part.list = kept
	}
	writeJSON(q.w, http.StatusOK, map[string]any{
		"LayersSize": 0, "Images": all.Images, "Containers": all.Containers, "Volumes": all.Volumes, "BuildCache": []any{}, "BuilderSize": 0,
	})
	return nil
}

// auth lets the engine try a registry's credentials.
func (q *request) auth() error {
	var body registry.AuthConfig
	if err := q.read(&body, legacyAuth); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	return q.passJSON("auth", body)
}

func (q *request) distribution() error {
	if err := imageName(q.name); err != nil {
		return err
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	_, err := q.pass(outgoing{method: http.MethodGet, path: "distribution/" + q.name + "/json", registry: true})
	return err
}
