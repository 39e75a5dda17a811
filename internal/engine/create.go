package engine

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// Labels that begin with labelPrefix are ours: clients may not set them.
const (
	labelPrefix = "dev.plimsoll."
	teamLabel   = labelPrefix + "team"
)

var reservedLabel = regexp.MustCompile(`(?i)dev\.plimsoll\.`)

// What may be said of a container; the rest of the engine's types is refused.
var (
	configFields = allowed("Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin StdinOnce Env Cmd " +
		"Healthcheck Image Volumes WorkingDir Entrypoint NetworkDisabled Labels StopSignal StopTimeout Shell")
	hostFields = allowed("Binds LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom ConsoleSize CapAdd CapDrop " +
		"CgroupnsMode DNS DNSOptions DNSSearch ExtraHosts IpcMode Links OomScoreAdj PidMode ReadonlyRootfs SecurityOpt Tmpfs ShmSize Sysctls " +
		"Runtime Umask Isolation Devices Mounts Init " + resources)
	endpointFields = allowed("IPAMConfig Aliases GwPriority DNSNames NetworkID")
)

// createContainer judges a container before it is made: its image, and every
// field of what is asked for. What is made is remembered before its creator
// hears of it.
func (q *request) createContainer() error {
	var body container.CreateRequest
	if err := q.read(&body, legacyCreate); err != nil {
		return err
	}
	if name := q.query.Get("name"); name != "" {
		if err := checkName(name); err != nil {
			return err
		}
	}
	if err := q.admit(ActionRun); err != nil {
		return err
	}
	if err := q.complete(&body); err != nil {
		return aboutAnother(err)
	}
	image, decision, err := q.judgeImage(body.Image)
	if err != nil {
		return err
	}
	made := Container{
		Name: strings.TrimPrefix(q.query.Get("name"), "/"), Team: q.team, Caller: q.caller.Name(), Decision: decision.ID,
		Image: normalised(body.Image), Config: ref.Digest(image.ID), Profile: q.profile,
	}
	body.Image = image.ID
	if made.Volumes, err = q.mounts(&body); err != nil {
		return aboutAnother(err)
	}
	o, err := jsonBody("containers/create", q.query.Values, body)
	if err != nil {
		return err
	}
	return q.make(o, made, len(image.Config.Volumes)+len(body.Volumes)+len(body.HostConfig.VolumesFrom) > 0)
}

// complete judges what is asked for against the profile and fills in the rest.
func (q *request) complete(body *container.CreateRequest) error {
	if body.Config == nil || body.Image == "" {
		return fault.Errorf(fault.Invalid, "the body names no image")
	}
	if body.HostConfig == nil {
		body.HostConfig = &container.HostConfig{}
	}
	if err := q.checkConfig(body.Config); err != nil {
		return err
	}
	if err := q.checkHost(body.HostConfig); err != nil {
		return err
	}
	if body.Labels == nil {
		body.Labels = map[string]string{}
	}
	body.Labels[teamLabel] = q.team
	return q.checkNetworks(body)
}

// aboutAnother returns err as one about something other than the image: clients
// take "not found" as the answer to a create for an image that must be pulled.
func aboutAnother(err error) error {
	if status, _ := told(err); status == http.StatusNotFound {
		return fault.As(fault.Invalid, err)
	}
	return err
}

func (q *request) checkConfig(c *container.Config) error {
	if err := configFields.check(c, ""); err != nil {
		return err
	}
	for target := range c.Volumes {
		if err := checkMountPoint(target); err != nil {
			return err
		}
	}
	return checkLabels(c.Labels)
}

func checkLabels(labels map[string]string) error {
	for name := range labels {
		if reservedLabel.MatchString(name) {
			return denied("label %q: names that begin with %s are Plimsoll's", name, labelPrefix)
		}
	}
	return nil
}

func (q *request) checkHost(h *container.HostConfig) error {
	if h.MaskedPaths != nil || h.ReadonlyPaths != nil {
		return denied("HostConfig.MaskedPaths and HostConfig.ReadonlyPaths may not be asked for")
	}
	if err := hostFields.check(h, "HostConfig"); err != nil {
		return err
	}
	for _, check := range []func(*container.HostConfig) error{q.checkPrivileges, q.checkNamespaces, q.checkEnvironment, q.checkPorts} {
		if err := check(h); err != nil {
			return err
		}
	}
	if err := limit(&h.Resources, q.profile); err != nil {
		return err
	}
	if h.ShmSize < 0 || h.ShmSize > q.profile.Memory {
		return above("ShmSize", "%d bytes", q.profile.Memory)
	}
	h.ReadonlyRootfs = h.ReadonlyRootfs || q.profile.ReadOnly
	return nil
}

// engineImage is what an engine says of an image.
type engineImage struct {
	ID          string `json:"Id"`
	RepoTags    []string
	RepoDigests []string
	Config      struct {
		Volumes map[string]struct{}
		OnBuild []string
	}
}

// judgeImage finds the image that a create names and asks whether it may run.
func (q *request) judgeImage(name string) (engineImage, *verdict.Decision, error) {
	image, err := q.image(name)
	if err != nil {
		return image, nil, err
	}
	d, err := q.p.Guard.Judge(q.ctx(), Question{
		Image: normalised(name), Config: ref.Digest(image.ID), RepoDigests: image.RepoDigests,
		Team: q.team, Action: ActionRun, Caller: q.caller, Door: Door,
	})
	if err != nil {
		return image, nil, err
	}
	if err := q.obey(d, name); err != nil {
		return image, nil, err
	}
	return image, d, nil
}

// obey turns a decision that is a denial into an error. It is in the audit log
// already.
func (q *request) obey(d *verdict.Decision, name string) error {
	if d.Allowed() {
		if d.Profile != nil {
			p := *d.Profile
			q.profile = &p
		}
		return nil
	}
	q.tells = true
	var why, hints []string
	for _, r := range d.Reasons {
		if r.Outcome != verdict.Denied {
			continue
		}
		why = append(why, r.Message)
		if r.Hint != "" {
			hints = append(hints, r.Hint)
		}
	}
	err := denied("image %q may not be used: %s (decision %s)", name, strings.Join(why, "; "), d.ID)
	if len(hints) > 0 {
		return fault.Hint(err, "%s", hints[0])
	}
	return err
}

// make creates the container, and remembers it.
func (q *request) make(o outgoing, c Container, findVolumes bool) error {
	var answer container.CreateResponse
	if err := q.ask(o, &answer); err != nil {
		return nameTaken(err, c.Name)
	}
	c.ID = answer.ID
	err := q.remember(&c, findVolumes)
	if err != nil {
		q.undo(c.ID)
		return err
	}
	writeJSON(q.w, http.StatusCreated, answer)
	return nil
}

func (q *request) remember(c *Container, findVolumes bool) error {
	if !fullID.MatchString(c.ID) {
		return fault.Errorf(fault.Unavailable, "the engine made a container with the ID %q", c.ID)
	}
	if findVolumes {
		if err := q.claimAnonymous(c); err != nil {
			return err
		}
	}
	slices.Sort(c.Volumes)
	c.Volumes = slices.Compact(c.Volumes)
	return q.p.Guard.Created(q.ctx(), *c)
}

// claimAnonymous claims the volumes that the engine made and named by itself.
func (q *request) claimAnonymous(c *Container) error {
	var found struct{ Mounts []struct{ Type, Name string } }
	if err := q.ask(outgoing{method: http.MethodGet, path: "containers/" + c.ID + "/json"}, &found); err != nil {
		return err
	}
	for _, m := range found.Mounts {
		if m.Type != "volume" || m.Name == "" {
			continue
		}
		if err := q.p.Guard.Claim(q.ctx(), KindVolume, m.Name, q.team); err != nil {
			return err
		}
		c.Volumes = append(c.Volumes, m.Name)
	}
	return nil
}

// undo removes a container that nobody would know whose it is.
func (q *request) undo(id string) {
	if !fullID.MatchString(id) {
		return
	}
	o := outgoing{method: http.MethodDelete, path: "containers/" + id, query: url.Values{"force": {"1"}, "v": {"1"}}}
	if err := q.ask(o, nil); err != nil {
		q.p.Log.Error("remove a container that could not be recorded", slog.String("id", id), slog.Any("err", err))
	}
}

// checkNetworks judges which networks a container joins. They are passed on by
// ID, so that nobody can exchange one under its name.
func (q *request) checkNetworks(body *container.CreateRequest) error {
	ids, err := q.networkMode(body.HostConfig)
	if err != nil {
		return err
	}
	h := body.HostConfig
	if body.NetworkingConfig == nil && len(h.Links) == 0 {
		return nil
	}
	if body.NetworkingConfig == nil {
		body.NetworkingConfig = &network.NetworkingConfig{}
	}
	endpoints := map[string]*network.EndpointSettings{}
	for name, e := range body.NetworkingConfig.EndpointsConfig {
		id, ok := ids[name]
		if !ok {
			if id, err = q.joinable(name); err != nil {
				return err
			}
		}
		if err := checkEndpoint(e); err != nil {
			return err
		}
		if _, twice := endpoints[id]; twice {
			return fault.Errorf(fault.Invalid, "network %q is named twice", name)
		}
		endpoints[id] = e
	}
	if id := string(h.NetworkMode); len(h.Links) > 0 && fullID.MatchString(id) {
		// Links of the host's configuration are for the engine's bridge only.
		if endpoints[id] == nil {
			endpoints[id] = &network.EndpointSettings{}
		}
		for _, link := range h.Links {
			endpoints[id].Links = append(endpoints[id].Links, shortLink(link))
		}
		h.Links = nil
	}
	body.NetworkingConfig.EndpointsConfig = endpoints
	return nil
}

// shortLink names the container of a link by its short ID: that is what an engine's
// resolver knows it by, beside its name.
func shortLink(link string) string {
	id, alias, _ := strings.Cut(link, ":")
	return id[:min(len(id), 12)] + ":" + alias
}

func checkEndpoint(e *network.EndpointSettings) error {
	if e == nil {
		return nil
	}
	if err := endpointFields.check(e, "EndpointsConfig"); err != nil {
		return err
	}
	e.NetworkID, e.DNSNames = "", nil // what the engine fills in; clients send back what they read
	return nil
}
