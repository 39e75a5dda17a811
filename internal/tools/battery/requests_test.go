//go:build linux

package main

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// requests ask an engine, straight through its socket, for what a policy must
// stop. Here nothing is in front of the engine: what comes out has to be
// harmless by the runtime, or nothing.
var requests = []struct {
	name    string
	refused bool // nothing harmless can come of it
	body    func(s *setup, neighbour string) object
}{
	{"nothing", false, host(nil)},
	{"privileged", false, host(object{"Privileged": true})},
	{"privileged, in small letters", false, func(*setup, string) object {
		return object{"hostconfig": object{"privileged": true}}
	}},
	{"all capabilities", false, host(object{"CapAdd": []string{"ALL"}})},
	{"all capabilities, in small letters", false, host(object{"CapAdd": []string{"all"}})},
	{"capabilities", false, host(object{"CapAdd": []string{"SYS_ADMIN", "CAP_SYS_MODULE", "net_admin"}})},
	{"no seccomp", false, host(object{"SecurityOpt": []string{"seccomp=unconfined"}})},
	{"no seccomp, old form", false, host(object{"SecurityOpt": []string{"seccomp:unconfined"}})},
	{"a seccomp profile of one's own", false, host(object{"SecurityOpt": []string{`seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`}})},
	{"no AppArmor", false, host(object{"SecurityOpt": []string{"apparmor=unconfined"}})},
	{"no labels", false, host(object{"SecurityOpt": []string{"label=disable"}})},
	{"all of proc", false, host(object{"SecurityOpt": []string{"systempaths=unconfined"}})},
	{"no masked paths", false, host(object{"MaskedPaths": []string{}, "ReadonlyPaths": []string{}})},
	{"new privileges, where the profile has none", false, labelled("strict", object{"SecurityOpt": []string{"no-new-privileges=false"}, "CapAdd": []string{"SETUID"}})},
	{"a root that can be written, where the profile has none", false, labelled("readonly", object{"ReadonlyRootfs": false})},
	{"groups", false, host(object{"GroupAdd": []string{"0", "6", "999"}})},
	{"sysctl of the kernel", true, host(object{"Sysctls": object{"kernel.core_pattern": "|/bin/false"}})},
	{"sysctl of the network", false, host(object{"Sysctls": object{"net.ipv4.ip_forward": "1"}})},
	{"oom score", false, host(object{"OomScoreAdj": -1000})},
	{"rlimits", false, host(object{"Ulimits": []object{{"Name": "nofile", "Soft": 1 << 30, "Hard": 1 << 30}}})},
	{"another runtime", false, host(object{"Runtime": "runc"})},
	{"another runtime, by its type", false, host(object{"Runtime": "io.containerd.runc.v2"})},
	{"the first version's runtime", false, host(object{"Runtime": "io.containerd.runtime.v1.linux"})},
	{"another control group", false, host(object{"CgroupParent": "/"})},
	{"a control group above", false, host(object{"CgroupParent": "/../../x"})},
	{"an unlimited container", false, host(object{"Memory": 1 << 40, "MemorySwap": -1, "PidsLimit": -1, "NanoCpus": 2e9, "CpuShares": 1 << 18, "OomKillDisable": true})},
	{"the host's processes", true, host(object{"PidMode": "host"})},
	{"the host's IPC", true, host(object{"IpcMode": "host"})},
	{"the host's names", true, host(object{"UTSMode": "host"})},
	{"the host's users", false, host(object{"UsernsMode": "host"})},
	{"the host's control groups", false, host(object{"CgroupnsMode": "host"})},
	{"the host's network", true, host(object{"NetworkMode": "host"})},
	{"a neighbour's processes", true, near("PidMode")},
	{"a neighbour's IPC", true, near("IpcMode")},
	{"a neighbour's network", true, near("NetworkMode")},
	{"all files", true, host(object{"Binds": []string{"/:/x"}})},
	{"all files, read-only", true, host(object{"Binds": []string{"/:/x:ro"}})},
	{"all files, in another form", true, host(object{"Mounts": []object{{"Type": "bind", "Source": "/", "Target": "/x"}}})},
	{"all files, with mounts that spread", true, host(object{"Mounts": []object{{"Type": "bind", "Source": "/", "Target": "/x", "BindOptions": object{"Propagation": "rshared"}}}})},
	{"the engine's socket", true, func(s *setup, _ string) object {
		return object{"HostConfig": object{"Binds": []string{s.Socket + ":/s"}}}
	}},
	{"the folder of sockets", true, host(object{"Binds": []string{"/run:/x"}})},
	{"the folder of the engine's volumes", true, func(s *setup, _ string) object {
		return object{"HostConfig": object{"Binds": []string{s.Data + "/volumes:/x"}}}
	}},
	{"the folder of another container", true, func(s *setup, neighbour string) object {
		return object{"HostConfig": object{"Binds": []string{s.Data + "/containers/" + neighbour + ":/x"}}}
	}},
	{"a folder whose name ends like a volume's", true, func(s *setup, _ string) object {
		return object{"HostConfig": object{"Binds": []string{s.Host.Dir + "/volumes/x/_data:/x"}}}
	}},
	{"the kernel's files", true, host(object{"Binds": []string{"/proc:/x"}})},
	{"devices by a folder", true, host(object{"Binds": []string{"/dev:/x"}})},
	{"a volume that leads to all files", true, host(object{"Mounts": []object{{
		"Type": "volume", "Source": "inline", "Target": "/x", "VolumeOptions": object{"DriverConfig": object{"Name": "local", "Options": object{"type": "none", "o": "bind", "device": "/"}}},
	}}})},
	{"a device", false, func(s *setup, _ string) object {
		return object{"HostConfig": object{"Devices": []object{{"PathOnHost": s.device, "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}}}}
	}},
	{"all devices", false, host(object{"Devices": []object{{"PathOnHost": "/dev/mapper", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}, {"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/kmsg", "CgroupPermissions": "rwm"}}})},
	{"rules of devices", false, host(object{"DeviceCgroupRules": []string{"a *:* rwm"}})},
	{"programs in a tmpfs", false, host(object{"Tmpfs": object{"/t": "exec,suid,dev,size=1m"}})},
	{"a larger root", false, host(object{"StorageOpt": object{"size": "100G"}})},
	{"a first process of the engine", false, host(object{"Init": true})},
}

// host returns a body with a host configuration.
func host(config object) func(*setup, string) object { return labelled("", config) }

func labelled(profile string, config object) func(*setup, string) object {
	return func(*setup, string) object {
		return object{"HostConfig": config, "Labels": object{profileLabel: profile}}
	}
}

// near asks for a namespace of a container of the other team.
func near(mode string) func(*setup, string) object {
	return func(_ *setup, neighbour string) object {
		return object{"HostConfig": object{mode: "container:" + neighbour}}
	}
}

func TestRequestsComeOutHarmless(t *testing.T) {
	s := open(t, laboratory(t), sealed)
	b := box{t, s}
	neighbour := b.detached(append(s.label(s.teams[1], ""), "--ipc=shareable", image, "attack", "hold")...)
	for _, r := range requests {
		t.Run(r.name, func(t *testing.T) {
			body := r.body(s, neighbour)
			body["Image"], body["Cmd"] = image, []string{"attack", "hold"}
			id, err := s.create(t.Context(), body)
			var no refusal
			switch {
			case errors.As(err, &no):
				t.Log(no)
				if r.name == "nothing" {
					t.Error("nothing starts at all")
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			defer s.remove(t.Context(), id)
			if r.refused {
				t.Error("it was started")
			}
			labels, _ := body["Labels"].(object)
			name, _ := labels[profileLabel].(string)
			if bad := harmful(t, s, box{t, s}.pid(id), s.profiles()[name]); len(bad) > 0 {
				t.Errorf("%s", strings.Join(bad, "\n"))
			}
		})
	}
	t.Run("exec with privileges", func(t *testing.T) { execWithPrivileges(box{t, s}) })
	t.Run("configuration at the start, as before version 1.24", func(t *testing.T) { oldStart(box{t, s}) })
}

// pid returns the number of a container's first process on the host.
func (b box) pid(id string) int {
	b.Helper()
	pid, err := strconv.Atoi(b.docker("inspect", "-f", "{{.State.Pid}}", id))
	if err != nil {
		b.Fatal(err)
	}
	return pid
}

func execWithPrivileges(b box) {
	for _, profile := range []string{"", "strict"} {
		id := b.detached(append(b.label(b.teams[0], profile), image, "attack", "hold")...)
		status, answer, err := b.post(b.Context(), "/containers/"+id+"/exec", object{"Privileged": true, "User": "0:0", "Cmd": []string{"attack", "hold"}})
		if err != nil || status != http.StatusCreated {
			b.Fatalf("%d %v, %v", status, answer, err)
		}
		run, _ := answer["Id"].(string)
		if status, answer, err = b.post(b.Context(), "/exec/"+run+"/start", object{"Detach": true}); err != nil || status != http.StatusOK {
			b.Fatalf("%d %v, %v", status, answer, err)
		}
		pids := strings.Fields(b.docker("top", id, "-o", "pid"))
		pid, err := strconv.Atoi(pids[len(pids)-1])
		if err != nil || len(pids) != 3 || pid == b.pid(id) {
			b.Fatalf("%v, %v", pids, err)
		}
		if bad := harmful(b.T, b.setup, pid, b.profiles()[profile]); len(bad) > 0 {
			b.Errorf("profile %q: %s", profile, strings.Join(bad, "\n"))
		}
	}
}

// oldStart gives the configuration when the container is started.
func oldStart(b box) {
	id := b.docker("create", image, "attack", "hold")
	defer b.remove(b.Context(), id)
	status, answer, err := b.post(b.Context(), "/../v1.23/containers/"+id+"/start", object{"Privileged": true, "PidMode": "host", "Binds": []string{"/:/x"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d %v", status, answer)
	if b.docker("inspect", "-f", "{{.State.Running}}", id) == "true" {
		b.Errorf("it was started: %v", harmful(b.T, b.setup, b.pid(id), b.profiles()[""]))
	}
}

// TestHarmIsSeen shows that what TestRequestsComeOutHarmless looks for is found
// where nothing stops it.
func TestHarmIsSeen(t *testing.T) {
	s := open(t, laboratory(t), plain)
	id, err := s.create(t.Context(), object{"Image": image, "Cmd": []string{"attack", "hold"}, "HostConfig": object{
		"CapAdd": []string{"SYS_ADMIN"}, "SecurityOpt": []string{"seccomp=unconfined"}, "MaskedPaths": []string{}, "ReadonlyPaths": []string{}, "PidMode": "host", "NetworkMode": "host", "IpcMode": "host", "UTSMode": "host", "CgroupnsMode": "host", "Binds": []string{"/:/x"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	bad := harmful(t, s, box{t, s}.pid(id), s.profiles()["strict"])
	for _, want := range []string{
		"uid_map", "gid_map", "CapEff", "CapBnd", "CapPrm", "seccomp", "no_new_privs", "namespace: the host's user", "namespace: the host's pid", "namespace: the host's net",
		"namespace: the host's ipc", "namespace: the host's uts", "namespace: the host's cgroup", "cgroup:", "limit: pids", "limit: memory", "limit: cpu", "mount: ", "proc: masked false, read-only false",
	} {
		if !slices.ContainsFunc(bad, func(b string) bool { return strings.HasPrefix(b, want) }) {
			t.Errorf("%s is not seen in:\n%s", want, strings.Join(bad, "\n"))
		}
	}
}
