//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTeams puts two teams on one host: neither may see, signal, trace, read,
// starve or impersonate the other. What names belong to whom (containers,
// volumes, networks, ports) is the proxy's to say and is not tried here.
func TestTeams(t *testing.T) {
	s := open(t, laboratory(t), sealed)
	red, blue := s.teams[0], s.teams[1]
	// stops is an attack of red's that must not succeed.
	stops := func(name string, try func(b box) outcome) {
		t.Run(name, func(t *testing.T) {
			switch o := try(box{t, s}); {
			case o.Succeeded:
				t.Error("it succeeds")
			case o.How == "not prepared" || o.How == "no answer":
				t.Errorf("it was not tried: %s", o.Why)
			default:
				t.Log(o.cell(), o.Why)
			}
		})
	}
	stops("see processes", func(b box) outcome {
		b.detached(append(s.label(blue, ""), image, "sleep", "4713")...)
		if strings.Contains(b.docker(append(append([]string{"run", "--rm"}, s.label(red, "")...), image, "ps")...), "4713") {
			return success
		}
		return stopped("", "")
	})
	for name, args := range map[string][]string{"trace": {"trace", "1"}, "signal": {"signal", "1"}, "read the environment": {"environ", "1"}} {
		stops(name, func(b box) outcome { return victim([]string{"--cap-add", "SYS_PTRACE"}, args...)(b.Context(), s) })
	}
	stops("join the network", func(b box) outcome { return join("--net", "net")(b.Context(), s) })
	stops("join the IPC", func(b box) outcome { return join("--ipc", "ipc")(b.Context(), s) })
	stops("read files of a shared folder", func(b box) outcome { return readShared(b, 0o600) })
	stops("read files of a shared folder by its root's capabilities", func(b box) outcome { return readShared(b, 0) })
	stops("find a key", func(b box) outcome {
		id := b.detached(append(s.label(blue, ""), append(unconfined, image, "sh", "-c", "attack keyadd battery; exec attack hold")...)...)
		s.logged(b.Context(), id)
		return s.attack(b.Context(), append(s.label(red, ""), unconfined...), "keyget", "battery")
	})
	stops("starve of inotify instances", func(b box) outcome { return starveInotify(b.Context(), s) })
	stops("starve of processes of a user", func(b box) outcome { return starveProcesses(b.Context(), s) })
	stops("starve of disk", func(b box) outcome {
		return s.attack(b.Context(), s.label(red, "storage"), "fill", "/big", "200")
	})
	stops("forge frames", func(b box) outcome { return s.attack(b.Context(), s.label(red, ""), "raw") })
	stops("take an address", func(b box) outcome {
		r := s.run(b.Context(), append(s.label(red, ""), "--cap-add", "NET_ADMIN"), "ip", "addr", "add", "172.17.0.99/16", "dev", "eth0")
		if r.Code == 0 {
			return success
		}
		return stopped("refused", r.Err)
	})
	t.Run("starve of processes", func(t *testing.T) { sharePIDs(box{t, s}) })
	t.Run("totals are limits of the team's control group", func(t *testing.T) { totals(box{t, s}) })
}

// readShared writes a file of blue's into a folder that both teams may mount,
// and reads it as red.
func readShared(b box, mode int) outcome {
	dir := filepath.Join(b.Host.Dir, "open", "blue"+strconv.Itoa(mode))
	base := int(disk(1).Base)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return stopped("not prepared", err.Error())
	}
	if err := os.Chown(dir, base, base); err != nil {
		return stopped("not prepared", err.Error())
	}
	mount := []string{"-v", dir + ":/b"}
	r := b.run(b.Context(), append(b.label(b.teams[1], "binds"), mount...), "sh", "-c", "echo secret >/b/f && chmod "+strconv.FormatInt(int64(mode), 8)+" /b/f && cat /b/f")
	if r.Out != "secret\n" {
		return stopped("not prepared", r.Out+r.Err)
	}
	return b.attack(b.Context(), append(b.label(b.teams[0], "binds"), mount...), "read", "/b/f")
}

// sharePIDs has red take all that its total allows, in more than one container:
// blue still gets what its own profile says.
func sharePIDs(b box) {
	sum := 0
	for range 3 {
		id, refused := b.start(b.Context(), b.label(b.teams[0], ""), "attack", "forks", "200", "hold")
		if refused != nil { // nothing is left to start it with
			continue
		}
		b.Cleanup(func() { b.remove(b.background(), id) })
		b.logged(b.Context(), id)
		all := parse(b.docker("logs", id))
		if len(all) != 1 {
			b.Fatalf("%v", all)
		}
		sum += all[0].Number
	}
	if total := int(b.profiles()[""].Total.PIDs); sum > total || sum < total/2 {
		b.Errorf("red has %d processes, its total is %d", sum, total)
	}
	r := b.run(b.Context(), b.label(b.teams[1], ""), "attack", "forks", "200")
	if all := parse(r.Out); len(all) != 1 || all[0].Number != 200 {
		b.Errorf("blue: %+v", r)
	}
}

// totals reads what bounds a team, whatever its containers are: no request of
// an engine reaches that group.
func totals(b box) {
	p := b.profiles()[""].Total
	id := b.detached(append(b.label(b.teams[0], ""), image, "attack", "hold")...)
	b.docker("update", "--memory", "8g", "--memory-swap", "8g", "--pids-limit", "-1", "--cpus", "2", id)
	for file, limit := range map[string]int64{"memory/%s/memory.limit_in_bytes": p.Memory, "pids/%s/pids.max": p.PIDs, "cpu/%s/cpu.cfs_quota_us": int64(p.CPUs * 100000)} {
		path := "/sys/fs/cgroup/" + strings.Replace(file, "%s", "plimsoll/"+b.teams[0], 1)
		text, err := os.ReadFile(path)
		b.is(path, strings.TrimSpace(string(text)), strconv.FormatInt(limit, 10))
		if err != nil {
			b.Error(err)
		}
	}
	if bad := harmful(b.T, b.setup, b.pid(id), b.profiles()[""]); len(bad) > 0 {
		b.Errorf("after the update: %s", strings.Join(bad, "\n"))
	}
}
