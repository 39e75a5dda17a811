package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"plimsoll/internal/agent"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const (
	maxAlive = 64 << 20 // bytes of one list of an engine
	listTime = 30 * time.Second
)

// dockerClient speaks to the engine behind the guard.
func dockerClient(socket string) *http.Client {
	return &http.Client{
		Timeout: listTime,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// list fills v with what the engine answers.
func list(ctx context.Context, c *http.Client, path string, v any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := c.Do(q)
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fault.Errorf(fault.Unavailable, "the engine answers %s with %s", path, answer.Status)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAlive+1))
	if err == nil && len(b) > maxAlive {
		err = fmt.Errorf("longer than %d bytes", maxAlive)
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	return fault.As(fault.Unavailable, err)
}

// engineHas returns what the engine at socket has.
func engineHas(ctx context.Context, socket string) (agent.Alive, error) {
	c := dockerClient(socket)
	var containers, images, networks []struct{ ID string }
	var volumes struct{ Volumes []struct{ Name string } }
	for path, v := range map[string]any{
		"/containers/json?all=1": &containers, "/images/json?all=1": &images, "/networks": &networks, "/volumes": &volumes,
	} {
		if err := list(ctx, c, path, v); err != nil {
			return agent.Alive{}, fmt.Errorf("what the engine has: %w", err)
		}
	}
	alive := agent.Alive{
		Containers: map[string]bool{}, Images: map[ref.Digest]bool{},
		Things: map[string]map[string]bool{"volume": {}, "network": {}},
	}
	for _, one := range containers {
		alive.Containers[one.ID] = true
	}
	for _, one := range images {
		alive.Images[ref.Digest(one.ID)] = true
	}
	for _, one := range networks {
		alive.Things["network"][one.ID] = true
	}
	for _, one := range volumes.Volumes {
		alive.Things["volume"][one.Name] = true
	}
	return alive, nil
}

// EngineState returns the folder in which the engine at socket keeps its state,
// and whether it lets systemd make its cgroups.
func EngineState(ctx context.Context, socket string) (folder string, systemd bool, err error) {
	var v struct{ DockerRootDir, CgroupDriver string }
	if err := list(ctx, dockerClient(socket), "/info", &v); err != nil {
		return "", false, fmt.Errorf("what the engine says of itself: %w", err)
	}
	if v.DockerRootDir == "" {
		return "", false, fault.Errorf(fault.Invalid, "the engine does not say where it keeps its state")
	}
	return v.DockerRootDir, v.CgroupDriver == "systemd", nil
}
