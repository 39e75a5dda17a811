package engine_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/profile"
	"plimsoll/internal/verdict"
)

const jsonKind = "application/json"

// create is the body of a create that is fine but for what is put into its host
// configuration and beside it.
func create(host, beside string) string {
	return `{"Image":"busybox","Cmd":["true"]` + beside + `,"HostConfig":{` + host + `}}`
}

// TestCreatesThatAskForMore sends every line of the list of adversarial creates,
// in each of its spellings. None may make a container.
func TestCreatesThatAskForMore(t *testing.T) {
	guard := newMemory()
	granted := t.TempDir()
	alpha := guard.profiles["alpha"]
	alpha.Mounts = []profile.Mount{{Path: granted + "/**", Writable: true}}
	guard.profiles["alpha"] = alpha
	if err := os.Symlink("/etc", filepath.Join(granted, "link")); err != nil {
		t.Fatal(err)
	}
	h := open(t, anEngine(t), guard)
	theirs := h.must(t, "beta", "run", "-d", "--name", "victim", "-v", "theirs:/d", "busybox", "sleep", "600")
	t.Cleanup(func() {
		_, _ = h.docker(t, "beta", "rm", "-fv", theirs)
		_, _ = h.docker(t, "beta", "volume", "rm", "theirs")
	})
	h.must(t, "beta", "network", "create", "theirnet")
	t.Cleanup(func() { _, _ = h.docker(t, "beta", "network", "rm", "theirnet") })
	direct := h.direct(t)
	direct("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", "device=/etc", "innocent")
	t.Cleanup(func() { direct("volume", "rm", "innocent") })

	host := []string{
		`"Privileged":true`, `"Privileged" : true`, `"privileged":true`, `"\u0050rivileged":true`, `"Privileged":false,"Privileged":true`, `"PRIVILEGED":true`,
		`"CapAdd":["ALL"]`, `"CapAdd":["all"]`, `"CapAdd":["SYS_ADMIN"]`, `"CapAdd":["CAP_SYS_ADMIN"]`, `"CapAdd":["cap_sys_admin"]`, `"Capabilities":["CAP_SYS_ADMIN"]`,
		`"SecurityOpt":["seccomp=unconfined"]`, `"SecurityOpt":["seccomp:unconfined"]`, `"SecurityOpt":["apparmor=unconfined"]`, `"SecurityOpt":["apparmor:unconfined"]`,
		`"SecurityOpt":["systempaths=unconfined"]`, `"SecurityOpt":["no-new-privileges=false"]`, `"SecurityOpt":["no-new-privileges:false"]`, `"SecurityOpt":["label=disable"]`, `"SecurityOpt":["label:disable"]`,
		`"MaskedPaths":[]`, `"ReadonlyPaths":[]`, `"MaskedPaths":["/x"]`, `"GroupAdd":["0"]`, `"Sysctls":{"kernel.core_pattern":"|/x"}`, `"Sysctls":{"net.ipv4.conf.all.route_localnet":"1"}`,
		`"OomScoreAdj":-1000`, `"OomKillDisable":true`, `"Ulimits":[{"Name":"rtprio","Soft":99,"Hard":99}]`, `"Ulimits":[{"Name":"nofile","Soft":-1,"Hard":-1}]`,
		`"Runtime":"io.containerd.runc.v2"`, `"Runtime":"other"`, `"CgroupParent":"/"`, `"CgroupParent":"/plimsoll/beta"`, `"Annotations":{"a":"b"}`, `"Isolation":"process"`,
		`"ContainerIDFile":"/etc/x"`, `"Cgroup":"container:victim"`, `"KernelMemory":1`,
		`"PidMode":"host"`, `"PidMode":"container:victim"`, `"PidMode":"container:` + theirs + `"`, `"IpcMode":"host"`, `"IpcMode":"container:victim"`, `"UTSMode":"host"`, `"UsernsMode":"host"`, `"CgroupnsMode":"host"`,
		`"NetworkMode":"host"`, `"NetworkMode":"container:victim"`, `"NetworkMode":"container:` + theirs[:12] + `"`, `"NetworkMode":"theirnet"`, `"NetworkMode":"HOST"`,
		`"Binds":["/etc:/e"]`, `"Binds":["/:/h"]`, `"Binds":["/var/run:/r"]`, `"Binds":["/run:/r"]`, `"Binds":["/var/run/docker.sock:/s"]`, `"Binds":["/etc/:/e"]`, `"Binds":["/srv/../etc:/e"]`, `"Binds":["//etc:/e"]`,
		`"Binds":["` + granted + `/link:/e"]`, `"Binds":["` + granted + `/link/new:/e"]`, `"Binds":["` + granted + `:/e:shared"]`, `"Binds":["` + granted + `:/e:rshared"]`, `"Binds":["` + granted + `:/e:ro,Z"]`,
		`"Binds":["` + granted + `/missing:/e"]`, `"Binds":["theirs:/d"]`, `"Binds":["innocent:/d"]`, `"Binds":["a:b:c:d"]`, `"Binds":["x:/"]`,
		`"Mounts":[{"Type":"bind","Source":"/etc","Target":"/e"}]`, `"Mounts":[{"Type":"bind","Source":"` + granted + `","Target":"/e","BindOptions":{"Propagation":"rshared"}}]`,
		`"Mounts":[{"Type":"bind","Source":"` + granted + `/new","Target":"/e","BindOptions":{"CreateMountpoint":true}}]`,
		`"Mounts":[{"Type":"volume","Source":"v","Target":"/e","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"none","o":"bind","device":"/etc"}}}}]`,
		`"Mounts":[{"Type":"volume","Target":"/e","VolumeOptions":{"DriverConfig":{"Options":{"type":"nfs"}}}}]`, `"Mounts":[{"Type":"volume","Source":"theirs","Target":"/e"}]`, `"Mounts":[{"Type":"volume","Source":"innocent","Target":"/e"}]`,
		`"Mounts":[{"Type":"volume","Source":"v","Target":"/e","VolumeOptions":{"Subpath":"../../x"}}]`, `"Mounts":[{"Type":"npipe","Source":"x","Target":"/e"}]`, `"Mounts":[{"Type":"image","Source":"busybox","Target":"/e"}]`, `"Mounts":[{"Type":"cluster","Source":"x","Target":"/e"}]`,
		`"Mounts":[{"type":"bind","source":"/etc","target":"/e"}]`,
		`"VolumesFrom":["victim"]`, `"VolumesFrom":["` + theirs + `:rw"]`, `"VolumeDriver":"nfs"`,
		`"Tmpfs":{"/t":"exec"}`, `"Tmpfs":{"/t":"suid"}`, `"Tmpfs":{"/t":"dev"}`, `"Tmpfs":{"/t":"rw,exec"}`, `"StorageOpt":{"size":"1T"}`,
		`"LogConfig":{"Type":"syslog","Config":{"syslog-address":"unix:///run/x"}}`, `"LogConfig":{"Type":"json-file","Config":{"tag":"x"}}`, `"LogConfig":{"Type":"gelf"}`, `"LogConfig":{"Type":"json-file","Config":{"max-size":"-1"}}`, `"LogConfig":{"Config":{"max-size":"900g"}}`, `"LogConfig":{"Config":{"max-file":"1000000"}}`,
		`"Devices":[{"PathOnHost":"/dev/loop0","PathInContainer":"/dev/x","CgroupPermissions":"rwm"}]`, `"DeviceCgroupRules":["b *:* rwm"]`, `"DeviceRequests":[{"Driver":"nvidia","Count":-1}]`,
		`"PublishAllPorts":true`, `"PortBindings":{"80/tcp":[{"HostPort":"22"}]}`, `"PortBindings":{"80/tcp":[{"HostPort":""}]}`, `"PortBindings":{"80/tcp":[{"HostPort":"18080-60000"}]}`, `"PortBindings":{"80/tcp":[{"HostPort":"18080 "}]}`,
		`"Memory":1073741824`, `"MemorySwap":-1`, `"NanoCpus":64000000000`, `"CpuQuota":6400000,"CpuPeriod":100000`, `"CpuQuota":-1`, `"PidsLimit":-1`, `"PidsLimit":100000`, `"CpuRealtimeRuntime":1`, `"BlkioWeight":1000`, `"ShmSize":1099511627776`,
		`"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":1}]`, `"Links":["victim:v"]`, `"Unheard":1`, `"Mounts":[{"Type":"volume","Target":"/x","Unheard":{}}]`,
	}
	bodies := map[string]string{}
	for _, s := range host {
		bodies[s] = create(s, "")
	}
	for _, s := range []string{
		`,"Labels":{"dev.plimsoll.team":"beta"}`, `,"Labels":{"DEV.Plimsoll.team":"beta"}`, `,"MacAddress":"02:42:ac:11:00:02"`, `,"Volumes":{"/etc:/e":{}}`, `,"OnBuild":["RUN x"]`,
		`,"hostconfig":{"Privileged":true}`, `,"HostConfig":{"Privileged":true}`, `,"NetworkingConfig":{"EndpointsConfig":{"theirnet":{}}}`, `,"NetworkingConfig":{"EndpointsConfig":{"host":{}}}`,
		`,"NetworkingConfig":{"EndpointsConfig":{"bridge":{"DriverOpts":{"a":"b"}}}}`, `,"Image":"evil"`, `,"Config":{}`, `,"Nested":` + strings.Repeat("[", 100) + strings.Repeat("]", 100),
	} {
		bodies[s] = create("", s)
	}
	bodies["two values"] = create("", "") + create(`"Privileged":true`, "")
	bodies["no image"] = `{"Cmd":["true"]}`
	bodies["null"] = `null`
	bodies["not JSON"] = `Image=busybox`
	bodies["too long"] = `{"Image":"busybox","Env":["` + strings.Repeat("x", 5<<20) + `"],"HostConfig":{"Privileged":true}}`
	bodies["over a mebibyte"] = `{"Image":"busybox","Env":["` + strings.Repeat("x", 1100000) + `"],"HostConfig":{"Privileged":true}}`

	if status, body := h.send(t, "alpha", "POST", "/v1.41/containers/create", jsonKind, create("", "")); status != 201 {
		t.Fatalf("the plain create: %d %s", status, body)
	}
	for what, body := range bodies {
		for _, version := range []string{"", "/v1.24", "/v1.41"} {
			status, said := h.send(t, "alpha", "POST", version+"/containers/create", jsonKind, body)
			if status < 400 || status >= 500 || status == 404 { // which makes clients pull the image, and ask again
				t.Errorf("%s with %.80s: %d %s", version, what, status, said)
			}
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json;x", "application/jsonx"} {
		if status, said := h.send(t, "alpha", "POST", "/v1.41/containers/create", kind, create("", "")); status != 400 {
			t.Errorf("a create as %q: %d %s", kind, status, said)
		}
	}
	if out := h.must(t, "alpha", "ps", "-aq"); strings.Count(out, "\n") != 0 {
		t.Errorf("more than the plain container was made: %q", out)
	}
	h.must(t, "alpha", "container", "prune", "-f")
	if !guard.recorded(verdict.Denied, "Privileged") {
		t.Error("the denials are not recorded")
	}
}

// direct runs the client on the engine's own socket, as its root would.
func (h *harbour) direct(t testing.TB) func(args ...string) string {
	return func(args ...string) string {
		t.Helper()
		out, err := run("docker", append([]string{"-H", "unix://" + h.socket}, args...)...)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(out)
	}
}

// TestRequestsThatAreNotServed sends what engines serve and teams do not get.
func TestRequestsThatAreNotServed(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	mine := h.must(t, "alpha", "run", "-d", "busybox", "sleep", "600")
	t.Cleanup(func() { _, _ = h.docker(t, "alpha", "rm", "-f", mine) })
	tests := []struct{ method, uri, body string }{
		{"GET", "/v1.41/%63ontainers/json", ""},
		{"GET", "//v1.41/containers/json", ""},
		{"GET", "/v1.41//containers/json", ""},
		{"GET", "/v1.41/containers/../containers/json", ""},
		{"GET", "/v1.41/containers/json/", ""},
		{"GET", "/v1.41/containers%2Fjson", ""},
		{"GET", "/v1.41/containers/%2e%2e/json", ""},
		{"GET", "/v1.41/containers/x%00/json", ""},
		{"GET", "/v1.41/containers/x%0a/json", ""},
		{"GET", "/v1.41/containers/%2541/json", ""},
		{"GET", "http://docker/v1.41/containers/json", ""},
		{"GET", "/v1.23/containers/json", ""},
		{"GET", "/v1.99/containers/json", ""},
		{"GET", "/v1.041/containers/json", ""},
		{"GET", "/V1.41/containers/json", ""},
		{"GET", "/v2/containers/json", ""},
		{"GET", "/v1.41", ""},
		{"GET", "/", ""},
		{"GET", "/v1.41/v1.41/containers/json", ""},
		{"OPTIONS", "/v1.41/containers/json", ""},
		{"TRACE", "/_ping", ""},
		{"GET", "/v1.41/containers/json?unheard=1", ""},
		{"GET", "/v1.41/containers/json?all=1&all=0", ""},
		{"GET", "/v1.41/containers/json?all=1;x=1", ""},
		{"GET", "/v1.41/containers/json?al%6c=1&all=0", ""},
		{"POST", "/v1.41/containers/" + mine + "/start", `{"Privileged":true}`},
		{"POST", "/containers/" + mine + "/start", `{"Binds":["/:/h"]}`},
		{"POST", "/v1.41/containers/" + mine + "/start?checkpoint=x", ""},
		{"POST", "/v1.41/containers/" + mine + "/update", `{"Memory":1099511627776}`},
		{"POST", "/v1.41/containers/" + mine + "/update", `{"PidsLimit":-1}`},
		{"POST", "/v1.41/containers/" + mine + "/update", `{"CpusetCpus":"a"}`},
		{"POST", "/v1.41/containers/" + mine + "/update", `{"Devices":[{"PathOnHost":"/dev/sda"}]}`},
		{"POST", "/v1.41/containers/" + mine + "/update", `{"CgroupParent":"/"}`},
		{"POST", "/v1.41/containers/" + mine + "/exec", `{"Cmd":["id"],"Privileged":true}`},
		{"POST", "/v1.41/containers/" + mine + "/exec", `{"Cmd":["id"],"privileged":true}`},
		{"GET", "/v1.41/containers/" + mine + "/top?ps_args=-o%20pid;id", ""},
		{"GET", "/v1.41/containers/" + mine + "/top?ps_args=-e%20-o%20uid%3DPID,args", ""},
		{"GET", "/v1.41/containers/" + mine + "/attach/ws", ""},
		{"POST", "/v1.41/containers/" + mine + "/checkpoints", "{}"},
		{"GET", "/v1.41/containers/" + mine + "/checkpoints", ""},
		{"POST", "/v1.41/containers/" + mine + "/copy", `{"Resource":"/etc/shadow"}`},
		{"DELETE", "/v1.41/containers/" + mine + "?link=1", ""},
		{"POST", "/v1.41/commit?container=" + mine + "&changes=LABEL%20dev.plimsoll.team%3Dbeta", ""},
		{"POST", "/v1.41/commit?container=" + mine + "&repo=busybox", ""},
		{"POST", "/v1.41/commit?container=" + mine, `{"OnBuild":["RUN x"]}`},
		{"POST", "/v1.41/build?networkmode=host", "x"},
		{"POST", "/v1.41/build?cgroupparent=/", "x"},
		{"POST", "/v1.41/build?securityopt=%5B%22seccomp%3Dunconfined%22%5D", "x"},
		{"POST", "/v1.41/build?remote=http://x/", ""},
		{"POST", "/v1.41/build?version=2", "x"},
		{"POST", "/v1.41/build?session=x", "x"},
		{"POST", "/v1.41/build?pull=1", "x"},
		{"POST", "/v1.41/build?memory=99999999999", "x"},
		{"POST", "/v1.41/build?t=busybox", "x"},
		{"POST", "/v1.41/build?networkmode=container:" + mine, "x"},
		{"POST", "/v1.41/build?outputs=x", "x"},
		{"POST", "/v1.41/build?cachefrom=%5B%22nothing%22%5D", "x"},
		{"POST", "/v1.41/build?dockerfile=../x", "x"},
		{"POST", "/v1.41/build", "not an archive, but longer than a block"},
		{"POST", "/v1.41/build?ulimits=%5B1%5D", "x"},
		{"POST", "/session", ""},
		{"POST", "/v1.41/session", ""},
		{"POST", "/grpc", ""},
		{"POST", "/v1.41/build/cancel?id=x", ""},
		{"POST", "/v1.41/images/create?fromSrc=http://x/y.tar", ""},
		{"POST", "/v1.41/images/create?fromImage=busybox", ""},
		{"POST", "/v1.41/images/create?fromImage=evil&tag=1", ""},
		{"POST", "/v1.41/images/create?fromSrc=-&repo=busybox&tag=latest", "x"},
		{"POST", "/v1.41/images/busybox/tag?repo=busybox&tag=latest", ""},
		{"POST", "/v1.41/images/load", "x"},
		{"DELETE", "/v1.41/images/busybox", ""},
		{"POST", "/v1.41/images/prune?filters=%7B%22dangling%22:%5B%22false%22%5D%7D", ""},
		{"GET", "/v1.41/plugins", ""},
		{"POST", "/v1.41/plugins/pull?remote=x", "[]"},
		{"GET", "/v1.41/plugins/x/json", ""},
		{"POST", "/v1.41/plugins/a/b:c/enable", ""},
		{"POST", "/v1.41/swarm/init", "{}"},
		{"GET", "/v1.41/swarm", ""},
		{"GET", "/v1.41/services", ""},
		{"POST", "/v1.41/services/create", "{}"},
		{"GET", "/v1.41/tasks", ""},
		{"GET", "/v1.41/configs", ""},
		{"POST", "/v1.41/secrets/create", "{}"},
		{"GET", "/v1.41/nodes", ""},
		{"PUT", "/v1.42/volumes/x", "{}"},
		{"GET", "/v1.41/debug/vars", ""},
		{"GET", "/debug/pprof/", ""},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Driver":"macvlan","Options":{"parent":"eth0"}}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Driver":"ipvlan"}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Driver":"host"}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Options":{"com.docker.network.bridge.name":"docker0"}}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Options":{"com.docker.network.bridge.host_binding_ipv4":"0.0.0.0"}}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","ConfigFrom":{"Network":"x"}}`},
		{"POST", "/v1.41/networks/create", `{"Name":"host"}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Ingress":true}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","IPAM":{"Driver":"x"}}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Scope":"swarm"}`},
		{"POST", "/v1.41/networks/create", `{"Name":"n","Labels":{"dev.plimsoll.team":"beta"}}`},
		{"POST", "/v1.41/networks/host/connect", `{"Container":"` + mine + `"}`},
		{"DELETE", "/v1.41/networks/bridge", ""},
		{"POST", "/v1.41/volumes/create", `{"Name":"v","DriverOpts":{"type":"none","o":"bind","device":"/etc"}}`},
		{"POST", "/v1.41/volumes/create", `{"Name":"v","Driver":"local","DriverOpts":{"type":"nfs","device":":/x"}}`},
		{"POST", "/v1.41/volumes/create", `{"Name":"v","DriverOpts":{"type":"overlay"}}`},
		{"POST", "/v1.41/volumes/create", `{"Name":"v","DriverOpts":{"type":"tmpfs","device":"tmpfs","o":"exec"}}`},
		{"POST", "/v1.41/volumes/create", `{"Name":"v","Driver":"rexray"}`},
		{"POST", "/v1.41/volumes/create", `{"Name":"../x"}`},
		{"POST", "/v1.41/volumes/create", ``},
		{"POST", "/v1.41/containers/create", ``},
	}
	for _, tt := range tests {
		kind := ""
		if strings.HasPrefix(tt.body, "{") || strings.HasPrefix(tt.body, "[") {
			kind = jsonKind
		}
		status, said := h.send(t, "alpha", tt.method, tt.uri, kind, tt.body)
		if status < 400 || status >= 500 || status == 404 || !strings.Contains(said, "plimsoll:") && tt.method != "TRACE" {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.uri, tt.body, status, said)
		}
	}
}

// TestOtherTeamsAreNotThere asks for everything that another team has, by name,
// by ID and by part of one. The answer is that of something that is not there.
func TestOtherTeamsAreNotThere(t *testing.T) {
	guard := newMemory()
	h := open(t, anEngine(t), guard)
	id := h.must(t, "beta", "run", "-d", "--name", "hidden", "-v", "hiddenvol:/d", "busybox", "sleep", "600")
	t.Cleanup(func() {
		_, _ = h.docker(t, "beta", "rm", "-fv", id)
		_, _ = h.docker(t, "beta", "volume", "rm", "hiddenvol")
	})
	network := h.must(t, "beta", "network", "create", "hiddennet")
	t.Cleanup(func() { _, _ = h.docker(t, "beta", "network", "rm", network) })
	image := h.must(t, "beta", "commit", "hidden", "hiddenimage:1")
	t.Cleanup(func() { _, _ = h.docker(t, "beta", "rmi", "hiddenimage:1") })
	_, body := h.send(t, "beta", "POST", "/v1.41/containers/hidden/exec", jsonKind, `{"Cmd":["id"],"AttachStdout":true}`)
	var made struct{ ID string }
	decode(t, body, &made)

	type ask struct{ method, uri, body string }
	var asks []ask
	for _, name := range []string{"hidden", id, id[:12], id[:5]} {
		c := "/v1.41/containers/" + name
		for _, verb := range []string{"json", "top", "logs?stdout=1", "changes", "export", "stats", "archive?path=/etc"} {
			asks = append(asks, ask{"GET", c + "/" + verb, ""})
		}
		for _, verb := range []string{"start", "stop", "restart", "kill", "pause", "unpause", "resize?h=1&w=1", "wait", "rename?name=x", "attach?stream=1&stdout=1"} {
			asks = append(asks, ask{"POST", c + "/" + verb, ""})
		}
		asks = append(asks, ask{"DELETE", c, ""}, ask{"HEAD", c + "/archive?path=/etc", ""}, ask{"PUT", c + "/archive?path=/etc", ""}, ask{"POST", c + "/update", `{"Memory":8388608}`},
			ask{"POST", c + "/exec", `{"Cmd":["id"]}`}, ask{"POST", "/v1.41/commit?container=" + name, ""}, ask{"POST", "/v1.41/networks/bridge/connect", `{"Container":"` + name + `"}`})
	}
	for _, name := range []string{"hiddennet", network, network[:12]} {
		asks = append(asks, ask{"GET", "/v1.41/networks/" + name, ""}, ask{"DELETE", "/v1.41/networks/" + name, ""}, ask{"POST", "/v1.41/networks/" + name + "/connect", `{"Container":"hidden"}`}, ask{"POST", "/v1.41/networks/" + name + "/disconnect", `{"Container":"hidden"}`})
	}
	for _, name := range []string{"hiddenimage:1", image, image[7:19]} {
		asks = append(asks, ask{"GET", "/v1.41/images/" + name + "/json", ""}, ask{"GET", "/v1.41/images/" + name + "/history", ""}, ask{"GET", "/v1.41/images/" + name + "/get", ""}, ask{"GET", "/v1.41/images/get?names=" + name, ""},
			ask{"DELETE", "/v1.41/images/" + name, ""}, ask{"POST", "/v1.41/images/" + name + "/tag?repo=stolen&tag=1", ""}, ask{"POST", "/v1.41/containers/create", `{"Image":"` + name + `"}`})
	}
	asks = append(asks, ask{"POST", "/v1.41/images/hiddenimage/push?tag=1", ""}, ask{"GET", "/v1.41/volumes/hiddenvol", ""}, ask{"DELETE", "/v1.41/volumes/hiddenvol?force=1", ""},
		ask{"POST", "/v1.41/exec/" + made.ID + "/start", `{"Detach":true}`}, ask{"POST", "/v1.41/exec/" + made.ID + "/resize?h=1&w=1", ""}, ask{"GET", "/v1.41/exec/" + made.ID + "/json", ""})
	for _, a := range asks {
		kind := ""
		if a.body != "" {
			kind = jsonKind
		}
		if status, said := h.send(t, "alpha", a.method, a.uri, kind, a.body); status != 404 || strings.Contains(said, "team") {
			t.Errorf("%s %s %s: %d %s", a.method, a.uri, a.body, status, said)
		}
	}
	for _, uri := range []string{"containers/json?all=1", "volumes", "networks", "images/json?all=1", "system/df", "info", "networks/bridge"} {
		status, said := h.send(t, "alpha", "GET", "/v1.41/"+uri, "", "")
		if status != 200 || strings.Contains(said, "hidden") || strings.Contains(said, id) || strings.Contains(said, image) {
			t.Errorf("%s tells of another team: %d %s", uri, status, said)
		}
		if _, said := h.send(t, "beta", "GET", "/v1.41/"+uri, "", ""); uri != "info" && uri != "networks/bridge" && !strings.Contains(said, "hidden") {
			t.Errorf("%s does not show a team its own: %s", uri, said)
		}
	}
	if status, said := h.send(t, "alpha", "POST", "/v1.41/containers/create?name=hidden", jsonKind, create("", "")); status != 409 || strings.Contains(said, id) {
		t.Errorf("a name in use: %d %s", status, said)
	}
	for _, verb := range []string{"containers", "volumes", "networks", "images"} {
		if status, said := h.send(t, "alpha", "POST", "/v1.41/"+verb+"/prune", "", ""); status != 200 {
			t.Errorf("prune %s: %d %s", verb, status, said)
		}
	}
	h.must(t, "beta", "inspect", "hidden", "hiddenvol", "hiddennet", "hiddenimage:1")
	if !guard.recorded(verdict.Denied, "another team's") {
		t.Error("the attempts are not recorded")
	}
}

// TestSmugglingAndHeaders sends requests that could be read in two ways, and
// headers that are ours to set.
func TestSmugglingAndHeaders(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	body := create(`"Privileged":true`, "")
	for what, text := range map[string]string{
		"two lengths":         "POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}    ",
		"length and chunks":   "GET /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nPOST /v1.41/containers/create HTTP/1.1\r\n\r\n",
		"chunks by halves":    "POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"a spaced header":     "GET /_ping HTTP/1.1\r\nHost : d\r\n\r\n",
		"another upgrade":     "GET /v1.41/info HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"an expectation":      "POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		"chunked and granted": fmt.Sprintf("POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
		"a number of its own": "POST /v1.41/containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\nX-Plimsoll-Nonce: x\r\nContent-Type: application/json\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body,
		"another team":        "GET /v1.41/info HTTP/1.1\r\nHost: d\r\nConnection: close\r\nX-Plimsoll-Team: beta\r\n\r\n",
		"two teams":           "GET /v1.41/info HTTP/1.1\r\nHost: d\r\nConnection: close\r\nX-Plimsoll-Team: alpha\r\nX-Plimsoll-Team: beta\r\n\r\n",
		"a long header":       "GET /_ping HTTP/1.1\r\nHost: d\r\nX-A: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
	} {
		c, err := net.Dial("unix", h.socketOf("alpha"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second)) // a connection that is kept open
		status, said := h.raw(t, c, text)
		_ = c.Close()
		if (status < 400 || status > 501) && (what != "length and chunks" || status != 200 || strings.Contains(said, "HTTP/1.1")) {
			t.Errorf("%s: %d %s", what, status, said)
		}
	}
}

// TestWhoSeveralTeamsAct is about callers in several teams: they name one.
func TestWhoSeveralTeamsAct(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	status, said := h.send(t, "", "GET", "/v1.41/containers/json", "", "")
	if status != 403 || !strings.Contains(said, "/run/plimsoll/teams/alpha/docker.sock") {
		t.Errorf("in two teams and none named: %d %s", status, said)
	}
	c, err := net.Dial("unix", h.socketOf(""))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		_, _ = io.WriteString(c, "GET /v1.41/containers/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\nX-Plimsoll-Team: beta\r\n\r\n")
	}()
	if status, said := answer(t, c); status != http.StatusOK {
		t.Errorf("one named by a header: %d %s", status, said)
	}
	h.guard.mu.Lock()
	h.guard.mayNot["alpha run"] = true
	h.guard.mu.Unlock()
	if status, _ := h.send(t, "alpha", "POST", "/v1.41/containers/create", jsonKind, create("", "")); status != 403 {
		t.Errorf("a team that may not run: %d", status)
	}
}

// TestRefusedBodies sends what is refused at its first line: a client gets to the
// end of a small body before it is told, and one that never ends keeps nobody.
func TestRefusedBodies(t *testing.T) {
	h := open(t, &dockerd{socket: "/nonexistent"}, newMemory())
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", h.socketOf("alpha"))
		},
	}}
	defer client.CloseIdleConnections()
	endless, end := io.Pipe()
	defer end.Close()
	small := strings.NewReader(strings.Repeat("x", 200<<10))
	for _, body := range []io.Reader{small, endless} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://docker/v1.41/swarm/init", io.NopCloser(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusForbidden {
			t.Errorf("answered %s", answer.Status)
		}
	}
	if small.Len() > 0 {
		t.Errorf("%d bytes were not read before the answer", small.Len())
	}
}
