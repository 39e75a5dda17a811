//go:build linux

package host

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// Request is what an installation needs to know.
type Request struct {
	// Program and Runtime are the files of this program and of the runtime, as
	// they are on the machine, not below the host's root.
	Program, Runtime string
	// Args are what the guard is started with after "guard run", such as where its
	// policy is.
	Args []string
	// Unsealed says that containers which are there may go on to run unsealed.
	Unsealed bool
	// Policy says why there is no policy, nil if there is one.
	Policy error
}

// Plan is what an installation would change, and what stands in its way.
type Plan struct {
	Changes   []Change `json:"changes"`
	Obstacles []Remark `json:"obstacles"` // nothing is changed while there are any
	ByHand    []Remark `json:"byHand"`    // what it does not do

	commands [][]string // that make it take effect
	undo     [][]string // and that make undoing take effect
}

// Change is one file, link or folder.
type Change struct {
	Path string `json:"path"`
	What string `json:"what"`

	kind    kind
	content []byte
	target  string // of a link
	mode    fs.FileMode
}

// Plan looks at the host and draws up an installation. It changes nothing.
func (h Host) Plan(q Request) *Plan {
	p := &Plan{Changes: []Change{}, ByHand: []Remark{}}
	var o obstacles
	if j, err := h.journal(); err != nil {
		o.err(err)
	} else if j != nil && j.State != installed {
		o.add("plimsoll guard uninstall, then install again", "an installation or its undoing was cut short")
	} else if j != nil {
		o.add("plimsoll guard doctor, or plimsoll guard uninstall", "the guard is installed already")
	}
	if len(o) > 0 { // what is ours would be taken for somebody else's
		p.Obstacles = o
		return p
	}
	s, o := h.survey()
	if q.Policy != nil {
		hint := fault.HintOf(q.Policy)
		if hint == "" {
			hint = "without a policy the guard denies everything: write one first"
		}
		o.add(hint, "no policy: %v", q.Policy)
	}
	if len(s.unsealed) > 0 && !q.Unsealed {
		o.add("remove them and make them again afterwards, or accept that with --accept-unsealed",
			"the engine keeps the runtime that a container was made with: %d would go on to run unsealed (%s)", len(s.unsealed), some(s.unsealed))
	}
	program, runtime := h.place(p, &o, q.Program, "plimsoll"), h.place(p, &o, q.Runtime, "plimsoll-runtime")
	if s.daemon != nil {
		h.planEngine(p, &o, s, runtime)
	}
	h.planFiles(p, s, program, q.Args)
	for _, c := range p.Changes {
		if c.kind == file {
			o.err(h.replaceable(c.Path))
		}
	}
	h.byHand(p, s, runtime)
	p.Obstacles = slices.Concat([]Remark{}, o)
	return p
}

func some(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// place returns the path at which a program is started, and plans to copy it
// there unless it is where only root can change it.
func (h Host) place(p *Plan, o *obstacles, source, base string) string {
	if h.Root == "" || strings.HasPrefix(source, filepath.Clean(h.Root)+"/") {
		path := source
		if h.Root != "" {
			path = "/" + strings.TrimPrefix(strings.TrimPrefix(source, filepath.Clean(h.Root)), "/")
		}
		if h.ownedByRoot(path) == nil {
			return path
		}
	}
	target := filepath.Join(binaries, base)
	b, err := durable.ReadFile(source, maxBinary)
	if err != nil {
		o.add("put plimsoll-runtime beside plimsoll", "%s: %v", base, err)
		return target
	}
	if h.exists(binaries) {
		o.err(h.ownedByRoot(binaries))
	}
	if !h.same(target, b) {
		p.Changes = append(p.Changes, Change{Path: target, What: "a copy of " + source + ", which others than root could change", kind: file, content: b, mode: 0o755})
	}
	return target
}

// planEngine plans what the engine's configuration gets.
func (h Host) planEngine(p *Plan, o *obstacles, s *survey, runtime string) {
	host := "unix://" + EngineSocket
	what := "runtime and default runtime plimsoll, authorization plugin plimsoll"
	if s.fd {
		host = ""
	} else {
		what += ", the engine's socket is " + EngineSocket
	}
	b, err := patchDaemon(s.before, runtime, host)
	if err != nil {
		o.err(err)
		return
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(h.at(DaemonJSON)); err == nil {
		mode = info.Mode().Perm()
	}
	p.Changes = append(p.Changes,
		Change{Path: DaemonJSON, What: what, kind: file, content: b, mode: mode},
		Change{Path: specFile, What: "where the engine finds the plugin", kind: file, content: []byte("unix://" + PluginSocket + "\n"), mode: 0o644})
}

// runtimeConfig is what the runtime reads.
type runtimeConfig struct {
	Guard    string            `json:"guard"`
	State    string            `json:"state"`
	Deadline string            `json:"deadline"`
	Runtimes map[string]string `json:"runtimes"`
}

// planFiles plans the files that are all ours.
func (h Host) planFiles(p *Plan, s *survey, program string, args []string) {
	if !h.exists(runtimeJSON) { // or it is the administrator's
		b, err := json.MarshalIndent(runtimeConfig{RuntimeSocket, containers, "10s", s.runtimes}, "", "  ")
		if err != nil {
			panic(err) // strings
		}
		p.Changes = append(p.Changes, Change{Path: runtimeJSON, What: "where the runtime finds the guard and runc", kind: file, content: append(b, '\n'), mode: 0o644})
	}
	if !s.systemd {
		return
	}
	add := func(path, what, content string) {
		p.Changes = append(p.Changes, Change{Path: path, What: what, kind: file, content: []byte(content), mode: 0o644})
	}
	add(tmpfiles, "the folders of the sockets, at boot", tmpfilesText)
	add(filepath.Join(units, guardUnit), "the guard, started before the engine", guardText(program, args))
	p.Changes = append(p.Changes, Change{Path: filepath.Join(units, "multi-user.target.wants", guardUnit), What: "the guard is started at boot", kind: link, target: filepath.Join(units, guardUnit)})
	add(filepath.Join(units, "docker.service.d", "plimsoll.conf"), "the engine is started after the guard", engineText)
	stop, start := []string{"docker.service"}, []string{"docker.service"}
	if s.fd {
		add(filepath.Join(units, "docker.socket.d", "plimsoll.conf"), "the engine's socket is "+EngineSocket, socketText)
		stop, start = append(stop, "docker.socket"), []string{"docker.socket", "docker.service"}
	}
	p.commands = [][]string{
		append([]string{"systemctl", "stop"}, stop...),
		{"systemd-tmpfiles", "--create", tmpfiles},
		{"systemctl", "daemon-reload"},
		{"systemctl", "start", guardUnit},
		append([]string{"systemctl", "start"}, start...),
	}
	p.undo = [][]string{
		append([]string{"systemctl", "stop"}, append(stop, guardUnit)...),
		{"systemctl", "daemon-reload"},
		append([]string{"systemctl", "start"}, start...),
	}
}

// byHand says what is left to the administrator.
func (h Host) byHand(p *Plan, s *survey, runtime string) {
	add := func(hint, format string, args ...any) {
		p.ByHand = append(p.ByHand, Remark{fmt.Sprintf(format, args...), hint})
	}
	if _, named, err := h.hostRange(); err == nil && !named {
		add(fmt.Sprintf("a line %s:%d:%d in /etc/subuid and in /etc/subgid", idmap.Owner, idmap.Default.Base, idmap.Default.Size), "reserve the user IDs of containers, so that useradd gives them to nobody")
	}
	if len(s.unsealed) > 0 {
		add("docker rm, docker run", "%d containers go on to run unsealed: %s", len(s.unsealed), some(s.unsealed))
	}
	if s.daemon != nil && !s.systemd {
		add(guardCommand, "start the guard before dockerd, at boot too: this host has no docker.service")
	}
	if h.find("podman") != "" {
		add("[engine]\nruntime = \"plimsoll\"\n[engine.runtimes]\nplimsoll = [\""+runtime+"\"]", "to have podman's containers sealed, in /etc/containers/containers.conf.d/plimsoll.conf")
	}
	if h.find("containerd") != "" {
		add("[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.plimsoll]\n  runtime_type = \"io.containerd.runc.v2\"\n  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.plimsoll.options]\n    BinaryName = \""+runtime+"\"",
			"to have a runtime class of containerd sealed, in /etc/containerd/config.toml")
	}
}

const guardCommand = "plimsoll guard run"

const tmpfilesText = `# Plimsoll: see tmpfiles.d(5).
d /run/plimsoll 0711 root root -
d /run/plimsoll/engine 0700 root root -
d /run/plimsoll/plugin 0700 root root -
d /run/plimsoll/runtime 0700 root root -
d /run/plimsoll/containers 0700 root root -
d /run/plimsoll/teams 0711 root root -
`

// engineText: the engine wants the guard and does not require it, because what
// runs goes on when the guard does not; what is started then is refused.
const engineText = `# Plimsoll: containers that restart at boot ask the guard.
[Unit]
Wants=plimsoll-guard.service
After=plimsoll-guard.service
`

// socketText moves the socket that systemd opens for the engine. The engine's own
// unit, which requires docker.socket and says -H fd://, stays as it is.
const socketText = `# Plimsoll: the guard has the engine's place.
[Socket]
ListenStream=
ListenStream=` + EngineSocket + `
SocketMode=0600
SocketUser=root
SocketGroup=root
DirectoryMode=0711
`

func guardText(program string, args []string) string {
	words := []string{unitWord(program), "guard", "run"}
	for _, a := range args {
		words = append(words, unitWord(a))
	}
	return `# Plimsoll: see systemd.service(5).
[Unit]
Description=Plimsoll guard: what the container engine may run, for whom
Wants=network-online.target
After=network-online.target local-fs.target systemd-tmpfiles-setup.service
Before=docker.service
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=` + strings.Join(words, " ") + `
Restart=always
RestartSec=1
OOMScoreAdjust=-900
LimitNOFILE=65536
UMask=0077
StateDirectory=plimsoll
StateDirectoryMode=0700
ProtectSystem=strict
ReadWritePaths=/run
ProtectHome=read-only
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`
}

// unitWord writes a word for a unit's command line.
func unitWord(w string) string {
	w = strings.NewReplacer("%", "%%", "$", "$$").Replace(w)
	if strings.ContainsAny(w, " \t\"'\\;") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`
	}
	return w
}
