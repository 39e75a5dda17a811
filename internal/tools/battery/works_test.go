//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// box tries what people do on one engine.
type box struct {
	*testing.T
	*setup
}

// docker runs a docker command, which must succeed, and returns its output
// without white space around it.
func (b box) docker(args ...string) string {
	b.Helper()
	r := b.Docker(b.Context(), args...)
	if r.Code != 0 {
		b.Fatalf("docker %s: status %d\n%s%s", strings.Join(args, " "), r.Code, r.Out, r.Err)
	}
	return strings.TrimSpace(r.Out)
}

// detached starts a container that the test's end removes.
func (b box) detached(args ...string) string {
	b.Helper()
	id := b.docker(append([]string{"run", "-d"}, args...)...)
	b.Cleanup(func() { b.remove(b.background(), id) })
	return id
}

// sh runs a script in a container that runs.
func (b box) sh(id, script string) string {
	b.Helper()
	return b.docker("exec", id, "sh", "-c", script)
}

// TempDir returns a folder that who acts can use.
func (b box) TempDir() string {
	b.Helper()
	if b.chain == nil {
		return b.T.TempDir()
	}
	dir, err := b.folder()
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

func (b box) is(what, got, want string) {
	b.Helper()
	if got != want {
		b.Errorf("%s: %q, want %q", what, got, want)
	}
}

func (b box) has(what, got string, wants ...string) {
	b.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			b.Errorf("%s: %q is not in %q", what, want, got)
		}
	}
}

// soon waits until something holds.
func (b box) soon(what string, holds func() bool) {
	b.Helper()
	if !eventually(b.Context(), holds) {
		b.Fatalf("%s: not in ten seconds", what)
	}
}

// features are what people do with containers, and what must go on working.
var features = []struct {
	name string
	try  func(b box)
}{
	{"run", func(b box) {
		b.is("output", b.docker("run", "--rm", image, "echo", "hello"), "hello")
		r := b.Docker(b.Context(), "run", "--rm", image, "sh", "-c", "exit 7")
		if r.Code != 7 {
			b.Errorf("status %d, want 7", r.Code)
		}
	}},
	{"logs", func(b box) {
		id := b.detached(image, "sh", "-c", "echo out; echo err >&2; sleep 1000")
		b.soon("logs", func() bool {
			r := b.Docker(b.Context(), "logs", id)
			return r.Out == "out\n" && r.Err == "err\n"
		})
	}},
	{"logs follow", func(b box) {
		id := b.detached(image, "sh", "-c", "while [ ! -e /go ]; do sleep 0.1; done; echo late")
		var out bytes.Buffer
		cmd := b.Command(b.Context(), "logs", "-f", id)
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.sh(id, "touch /go")
		if err := cmd.Wait(); err != nil || out.String() != "late\n" {
			b.Errorf("%q, %v", out.String(), err)
		}
	}},
	{"top", func(b box) {
		b.has("top", b.docker("top", b.detached(image, "sleep", "4711")), "sleep 4711")
	}},
	{"standard input", func(b box) {
		r := b.DockerIn(b.Context(), strings.NewReader("through"), "run", "--rm", "-i", image, "cat")
		b.is("output", r.Out, "through")
	}},
	{"terminal", func(b box) {
		b.has("tty", b.docker("run", "--rm", "-t", image, "sh", "-c", "tty; [ -t 0 ] && echo is one"), "/dev/pts/0", "is one")
		b.has("tty of exec", b.docker("exec", "-t", b.detached(image, "attack", "hold"), "sh", "-c", "tty && echo hi >/dev/tty && stat -c %u:%g $(tty)"), "/dev/pts/", "hi", "0:")
	}},
	{"output opened again", func(b box) {
		b.is("output", b.docker("run", "--rm", image, "sh", "-c", "echo again >/dev/stdout"), "again")
		b.is("output of a user", b.docker("run", "--rm", "-u", "1000", image, "sh", "-c", "echo again >/proc/self/fd/1"), "again")
	}},
	{"exec", func(b box) {
		id := b.detached("-e", "A=1", image, "attack", "hold")
		b.is("environment", b.docker("exec", "-e", "B=2", id, "sh", "-c", "echo $A$B"), "12")
		b.is("user", b.docker("exec", "-u", "app", id, "id", "-u"), "1000")
		b.is("user and group", b.docker("exec", "-u", "33:44", id, "sh", "-c", "id -u; id -g"), "33\n44")
		b.is("folder", b.docker("exec", "-w", "/home/app", id, "pwd"), "/home/app")
		b.docker("exec", "-d", id, "touch", "/detached")
		b.soon("detached", func() bool { return b.Docker(b.Context(), "exec", id, "test", "-e", "/detached").Code == 0 })
		if r := b.Docker(b.Context(), "exec", id, "sh", "-c", "exit 9"); r.Code != 9 {
			b.Errorf("status %d, want 9", r.Code)
		}
		in := b.DockerIn(b.Context(), strings.NewReader("in"), "exec", "-i", id, "cat")
		b.is("standard input", in.Out, "in")
	}},
	{"cp", func(b box) {
		dir := b.TempDir()
		file := filepath.Join(dir, "in")
		if err := errors.Join(os.WriteFile(file, []byte("text"), 0o640), b.give(file)); err != nil {
			b.Fatal(err)
		}
		id := b.detached(image, "attack", "hold")
		b.docker("cp", file, id+":/home/in")
		b.is("file inside, its owner's as outside", b.sh(id, "cat /home/in; stat -c ' %u %a' /home/in"), "text "+b.owner(file)+" 640")
		b.sh(id, "echo changed >/home/in; echo new >/home/new; rm /etc/group")
		b.refresh(id)
		b.docker("cp", id+":/home/new", filepath.Join(dir, "out"))
		out, err := os.ReadFile(filepath.Join(dir, "out"))
		b.is("file outside", string(out), "new\n")
		if err != nil {
			b.Error(err)
		}
		b.docker("stop", "-t", "1", id)
		b.docker("cp", file, id+":/home/stopped")
		b.docker("cp", id+":/home/in", filepath.Join(dir, "in2"))
		if out, err = os.ReadFile(filepath.Join(dir, "in2")); string(out) != "changed\n" {
			b.Errorf("file of a stopped container: %q, %v", out, err)
		}
		b.docker("start", id)
		b.is("file put while stopped", b.sh(id, "cat /home/stopped"), "text")
	}},
	{"diff", func(b box) {
		id := b.detached(image, "sh", "-c", "echo x >/added; echo y >>/etc/passwd; rm /etc/group; touch /done; exec attack hold")
		b.soon("done", func() bool { return b.Docker(b.Context(), "exec", id, "test", "-e", "/done").Code == 0 })
		b.refresh(id)
		b.has("diff", b.docker("diff", id), "A /added", "C /etc/passwd", "D /etc/group")
	}},
	{"export", func(b box) {
		id := b.detached(image, "sh", "-c", "echo x >/added && chown 1000 /added; exec attack hold")
		b.soon("added", func() bool {
			return b.Docker(b.Context(), "exec", id, "test", "-O", "/bin/sh", "-a", "-e", "/added").Code == 0
		})
		file := filepath.Join(b.TempDir(), "e.tar")
		b.docker("export", "-o", file, id)
		b.has("archive", b.tar(file), "added 1000", "bin/busybox 0")
	}},
	{"commit", func(b box) {
		id := b.detached(image, "sh", "-c", "echo x >/added && chown 1000:1000 /added; chmod 4755 /added; rm /etc/group; rm -r /home/app; mkdir /home/app; exec attack hold")
		b.soon("made", func() bool {
			return b.Docker(b.Context(), "exec", id, "sh", "-c", "test -u /added -a -d /home/app -a ! -e /etc/group").Code == 0
		})
		b.Cleanup(func() { b.Docker(b.background(), "rmi", "-f", "committed") })
		b.docker("commit", id, "committed")
		b.is("committed", b.docker("run", "--rm", "committed", "sh", "-c", "stat -c '%u:%g %a' /added /home/app; ls /etc"), "1000:1000 4755\n0:0 755\nhostname\nhosts\nmtab\npasswd\nresolv.conf")
		layer := b.docker("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "committed")
		b.is("owner on disk", b.owner(b.Host.Path(filepath.Join(layer, "added"))), b.shifted(1000))
	}},
	{"volume", func(b box) {
		b.Cleanup(func() { b.Docker(b.background(), "volume", "rm", "-f", "data") })
		b.docker("run", "--rm", "-v", "data:/d", image, "sh", "-c", "echo kept >/d/f; chown 1000 /d/f")
		b.is("next container", b.docker("run", "--rm", "-v", "data:/d:ro", image, "sh", "-c", "cat /d/f; stat -c %u /d/f; touch /d/g 2>/dev/null || echo read-only"), "kept\n1000\nread-only")
		b.is("owner on disk", b.owner(filepath.Join(b.Data, "volumes/data/_data/f")), b.shifted(1000))
		b.is("another form", b.docker("run", "--rm", "--mount", "type=volume,src=data,dst=/d,readonly", image, "cat", "/d/f"), "kept")
		b.is("what the image has", b.docker("run", "--rm", "-v", "/etc", image, "cat", "/etc/group"), "root:x:0:\napp:x:1000:")
	}},
	{"volumes from", func(b box) {
		id := b.detached("-v", "/shared", image, "sh", "-c", "echo mine >/shared/f; exec attack hold")
		b.soon("file", func() bool { return b.Docker(b.Context(), "exec", id, "test", "-s", "/shared/f").Code == 0 })
		b.is("file", b.docker("run", "--rm", "--volumes-from", id, image, "cat", "/shared/f"), "mine")
	}},
	{"bind", func(b box) {
		open := b.Host.Dir + "/open"
		flags := b.label(b.teams[0], "binds")
		b.docker(append(append([]string{"run", "--rm"}, flags...), "-v", open+":/b", image, "sh", "-c", "echo mine >/b/bound && cat /b/bound")...)
		b.is("next container", b.docker(append(append([]string{"run", "--rm"}, flags...), "-v", open+":/b:ro", image, "sh", "-c", "cat /b/bound; stat -c %u /b/bound; touch /b/x 2>/dev/null || echo read-only")...), "mine\n0\nread-only")
	}},
	{"tmpfs", func(b box) {
		b.is("tmpfs", b.docker("run", "--rm", "--tmpfs", "/t:uid=1000,size=1m", "-u", "1000", image, "sh", "-c", "touch /t/x && stat -f -c %T /t && stat -c %u /t"), "tmpfs\n1000")
		b.is("shm", b.docker("run", "--rm", "--shm-size", "2m", image, "sh", "-c", "touch /dev/shm/x && df -k /dev/shm | tail -1 | awk '{print $2}'"), "2048")
	}},
	{"published port", func(b box) {
		b.detached("-p", "127.0.0.1:18080:80", image, "attack", "serve", "served")
		b.soon("port", func() bool {
			out, err := b.Host.Run(b.Context(), b.lab.program, "get", "127.0.0.1:18080")
			return err == nil && out == "served"
		})
	}},
	{"networks", func(b box) {
		for _, n := range []string{"one", "two"} {
			b.docker("network", "create", n)
			b.Cleanup(func() { b.Docker(b.background(), "network", "rm", n) })
		}
		server := b.detached("--net", "one", "--name", "server", image, "attack", "serve", "served")
		client := b.detached("--net", "two", image, "attack", "hold")
		if r := b.Docker(b.Context(), "exec", client, "attack", "get", "server:80"); r.Code == 0 {
			b.Errorf("another network's server is reached: %s", r.Out)
		}
		b.docker("network", "connect", "one", client)
		b.soon("server by name", func() bool {
			return b.Docker(b.Context(), "exec", client, "attack", "get", "server:80").Out == "served"
		})
		b.docker("network", "disconnect", "one", client)
		b.is("interfaces", b.sh(server, "ls /sys/class/net"), "eth0\nlo")
	}},
	{"bridge", func(b box) {
		id := b.detached(image, "attack", "serve", "served")
		address := b.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id)
		b.soon("neighbour", func() bool {
			return b.Docker(b.Context(), "run", "--rm", image, "attack", "get", address+":80").Out == "served"
		})
		b.has("hosts", b.sh(id, "cat /etc/hosts"), address)
	}},
	{"ping without raw sockets", func(b box) {
		b.is("ping", b.docker("run", "--rm", "--cap-drop", "ALL", "--sysctl", "net.ipv4.ping_group_range=0 2147483647", image, "sh", "-c", "attack ping"), `{"succeeded":true}`)
	}},
	{"net container", func(b box) {
		id := b.detached(image, "attack", "serve", "served")
		b.soon("server", func() bool {
			return b.Docker(b.Context(), "run", "--rm", "--net=container:"+id, image, "attack", "get", "127.0.0.1:80").Out == "served"
		})
	}},
	{"pid container", func(b box) {
		id := b.detached(image, "sleep", "4712")
		b.has("ps", b.docker("run", "--rm", "--pid=container:"+id, image, "ps"), "sleep 4712")
	}},
	{"ipc container", func(b box) {
		id := b.detached("--ipc=shareable", image, "sh", "-c", "echo shared >/dev/shm/f; exec attack hold")
		b.soon("file", func() bool {
			return b.Docker(b.Context(), "run", "--rm", "--ipc=container:"+id, image, "cat", "/dev/shm/f").Out == "shared\n"
		})
	}},
	{"init", func(b box) {
		b.has("first process", b.docker("run", "--rm", "--init", image, "cat", "/proc/1/comm"), "docker-init")
	}},
	{"stop, start, restart", func(b box) {
		id := b.detached(image, "sh", "-c", "echo x >>/count; exec attack hold")
		count := func() string { return b.Docker(b.Context(), "exec", id, "wc", "-l", "/count").Out }
		b.docker("stop", id)
		b.docker("start", id)
		b.soon("started again", func() bool { return count() == "2 /count\n" })
		b.docker("restart", id)
		b.soon("restarted", func() bool { return count() == "3 /count\n" })
	}},
	{"restart policy", func(b box) {
		id := b.detached("--restart=always", image, "sh", "-c", "echo x >>/count; [ $(wc -l </count) -ge 3 ] && exec attack hold; exit 1")
		b.soon("started three times", func() bool { return b.Docker(b.Context(), "exec", id, "wc", "-l", "/count").Out == "3 /count\n" })
	}},
	{"pause", func(b box) {
		id := b.detached(image, "attack", "hold")
		b.docker("pause", id)
		b.is("state", b.docker("inspect", "-f", "{{.State.Status}}", id), "paused")
		b.docker("unpause", id)
		b.is("exec", b.sh(id, "echo on"), "on")
	}},
	{"stats", func(b box) {
		id := b.detached("--memory", "64m", image, "attack", "hold")
		b.has("stats", b.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", id), "/ 64MiB")
	}},
	{"update", func(b box) {
		id := b.detached("--memory", "64m", image, "attack", "hold")
		b.docker("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "40", id)
		b.has("stats", b.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", id), "/ 96MiB")
	}},
	{"kill and wait", func(b box) {
		id := b.detached(image, "attack", "hold")
		b.docker("kill", "-s", "KILL", id)
		b.is("status", b.docker("wait", id), "137")
		gentle := b.detached(image, "attack", "hold")
		b.docker("kill", "-s", "TERM", gentle)
		b.is("status", b.docker("wait", gentle), "0")
	}},
	{"read-only", func(b box) {
		b.is("root", b.docker("run", "--rm", "--read-only", "--tmpfs", "/t", image, "sh", "-c", "touch /x 2>/dev/null || touch /t/x && echo only there"), "only there")
	}},
	{"sysctl", func(b box) {
		b.is("net", b.docker("run", "--rm", "--sysctl", "net.core.somaxconn=200", image, "cat", "/proc/sys/net/core/somaxconn"), "200")
	}},
	{"ulimit", func(b box) {
		b.is("files", b.docker("run", "--rm", "--ulimit", "nofile=100:100", image, "sh", "-c", "ulimit -Sn; ulimit -Hn"), "100\n100")
		b.is("processes", b.docker("run", "--rm", "--ulimit", "nproc=200:300", image, "awk", "/Max processes/ {print $3, $4}", "/proc/self/limits"), "200 300")
		b.is("core", b.docker("run", "--rm", "--ulimit", "core=0", image, "sh", "-c", "ulimit -c"), "0")
	}},
	{"oom score", func(b box) {
		b.is("score", b.docker("run", "--rm", "--oom-score-adj", "500", image, "cat", "/proc/self/oom_score_adj"), "500")
	}},
	{"memory", func(b box) {
		if r := b.run(b.Context(), []string{"--memory", "32m"}, "attack", "memory", "100"); r.Code != 137 {
			b.Errorf("a container with 32 MiB uses 100: %+v", r)
		}
		b.is("enough", b.docker("run", "--rm", "--memory", "100m", image, "attack", "memory", "40"), `{"succeeded":true}`)
	}},
	{"cpus", func(b box) {
		b.docker("run", "--rm", "--cpus", "0.5", "--cpu-shares", "100", image, "true")
	}},
	{"pids", func(b box) {
		r := b.run(b.Context(), []string{"--pids-limit", "20"}, "attack", "forks", "50")
		if all := parse(r.Out); len(all) != 1 || all[0].Succeeded || all[0].Errno != "EAGAIN" || all[0].Number < 5 {
			b.Errorf("50 processes where 20 are allowed: %+v", r)
		}
	}},
	{"user and folder", func(b box) {
		b.is("by name", b.docker("run", "--rm", "-u", "app", "-w", "/home/app", image, "sh", "-c", "id -u; pwd; touch f && stat -c %u f"), "1000\n/home/app\n1000")
		b.is("by number", b.docker("run", "--rm", "-u", "33:44", image, "id", "-G"), "44")
		if more := b.Docker(b.Context(), "run", "--rm", "-u", "33:44", "--group-add", "55", image, "id", "-G"); b.name == guarded {
			b.has("more groups", more.Err, "HostConfig.GroupAdd may not be asked for")
		} else {
			b.is("more groups", more.Out, "44 55\n")
		}
		b.is("made folder", b.docker("run", "--rm", "-w", "/made/for/it", image, "pwd"), "/made/for/it")
	}},
	{"setuid program", func(b box) {
		b.is("sees all", b.docker("run", "--rm", "-u", "1000", image, "asroot", "openw", "/etc/passwd"), `{"succeeded":true}`)
	}},
	{"su", func(b box) {
		b.is("groups are set", b.docker("run", "--rm", image, "su", "app", "-c", "id -u"), "1000")
	}},
	{"file capability", func(b box) {
		b.has("effective", b.docker("run", "--rm", "-u", "1000", image, "sh", "-c", "bind80 hold & sleep 0.2; grep CapEff /proc/$!/status"), "0000000000000400")
	}},
	{"low port", func(b box) {
		id := b.detached("-u", "1000", image, "attack", "serve", "served")
		b.soon("port", func() bool { return b.Docker(b.Context(), "exec", id, "attack", "get", "127.0.0.1:80").Out == "served" })
	}},
	{"devices of every container", func(b box) {
		b.is("null, zero, urandom", b.docker("run", "--rm", "-u", "1000", image, "sh", "-c", "echo x >/dev/null && head -c 3 /dev/zero | wc -c && head -c 3 /dev/urandom | wc -c && stat -c %a /dev/null /dev/full"), "3\n3\n666\n666")
	}},
	{"names and environment", func(b box) {
		out := b.docker("run", "--rm", "--hostname", "me", "--dns", "10.9.8.7", "--add-host", "him:10.1.2.3", "-e", "A=b", image, "sh", "-c", "hostname; grep -c 10.9.8.7 /etc/resolv.conf; grep -c him /etc/hosts; echo $A")
		named := "1"
		if b.name == guarded {
			named = "0" // on a team's network the engine's own resolver stands between
		}
		b.is("inside", out, "me\n"+named+"\n1\nb")
		b.is("hosts can be written", b.docker("run", "--rm", image, "sh", "-c", "echo 1.2.3.4 x >>/etc/hosts && tail -n 1 /etc/hosts"), "1.2.3.4 x")
	}},
	{"health", func(b box) {
		id := b.detached("--health-cmd", "test -e /well", "--health-interval", "200ms", image, "sh", "-c", "touch /well; exec attack hold")
		b.soon("healthy", func() bool { return b.docker("inspect", "-f", "{{.State.Health.Status}}", id) == "healthy" })
	}},
	{"attach", func(b box) {
		id := b.detached("-i", image, "sh", "-c", "read line; echo got $line")
		cmd := b.Command(b.Context(), "attach", id)
		var out bytes.Buffer
		cmd.Stdout = &out
		in, err := cmd.StdinPipe() // open until the end: at its end, attach does not wait for more
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(cmd.Start(), write(in, "word\n"), cmd.Wait()); err != nil || out.String() != "got word\n" {
			b.Errorf("%q, %v", out.String(), err)
		}
	}},
	{"create, rename, remove", func(b box) {
		id := b.docker("create", "--name", "first", image, "true")
		b.docker("rename", "first", "second")
		b.docker("start", "-a", "second")
		b.docker("rm", "second")
		if r := b.Docker(b.Context(), "inspect", id); r.Code == 0 {
			b.Errorf("it is still there")
		}
	}},
	{"build", func(b box) {
		dir := b.TempDir()
		text := "FROM " + image + "\nRUN cat /proc/self/uid_map >/map; id -u; touch /built; chown 1000 /built; chmod 4755 /built\nCOPY file /copied\nUSER app\nRUN touch /home/app/x; stat -c %u /home/app/x /copied\nUSER root\n" + strings.Repeat("RUN echo x >>/layers\n", 3)
		for name, content := range map[string]string{"Dockerfile": text, "file": "f"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				b.Fatal(err)
			}
		}
		b.Cleanup(func() { b.Docker(b.background(), "rmi", "-f", "built") })
		b.docker("build", "--force-rm", "-t", "built", dir)
		b.is("image", b.docker("run", "--rm", "built", "sh", "-c", "stat -c '%u %a' /built /home/app/x /copied; wc -l </layers"), "1000 4755\n1000 644\n0 644\n3")
		if own := strings.Fields(b.docker("run", "--rm", "built", "cat", "/map")); b.name != plain && (len(own) != 3 || own[1] == "0") {
			b.Errorf("a build step ran unsealed: %v", own)
		}
		file := filepath.Join(dir, "image.tar")
		b.docker("save", "-o", file, "built")
		b.docker("rmi", "-f", "built")
		b.docker("load", "-i", file)
		b.docker("run", "--rm", "built", "test", "-e", "/built")
	}},
	{"many layers", func(b box) {
		dir := b.TempDir()
		var text strings.Builder
		text.WriteString("FROM " + image + "\n")
		for i := range 30 {
			text.WriteString("COPY Dockerfile /f" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text.String()), 0o644); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { b.Docker(b.background(), "rmi", "-f", "layers") })
		b.docker("build", "-t", "layers", dir)
		b.is("files", b.docker("run", "--rm", "layers", "sh", "-c", "ls -d /f* | wc -l; rm /faa; ls -d /f* | wc -l"), "30\n29")
	}},
	{"events and inspect", func(b box) {
		id := b.detached(image, "attack", "hold")
		var all []struct{ State struct{ Pid int } }
		if err := json.Unmarshal([]byte(b.docker("inspect", id)), &all); err != nil || len(all) != 1 || all[0].State.Pid == 0 {
			b.Errorf("%+v, %v", all, err)
		}
		b.has("ps", b.docker("ps", "--no-trunc", "-q"), id)
	}},
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}

// refresh does what the proxy does before a diff, an export and a copy: the
// engine's own view of a sealed container's root forgets what it has looked up.
func (b box) refresh(id string) {
	b.Helper()
	if b.name != sealed {
		return
	}
	fd, err := unix.Fspick(unix.AT_FDCWD, b.Host.Path(b.docker("inspect", "-f", "{{.GraphDriver.Data.MergedDir}}", id)), unix.FSPICK_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(unix.FsconfigReconfigure(fd), unix.Close(fd)); err != nil {
		b.Fatal(err)
	}
}

// tar lists the names and owners of an archive.
func (b box) tar(file string) string {
	b.Helper()
	out, err := b.Host.Run(b.Context(), "tar", "--numeric-owner", "-tvf", file)
	if err != nil {
		b.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^\S+ (\d+)/\d+ .* (\S+)$`).ReplaceAllString(out, "$2 $1")
}

func TestWorks(t *testing.T) {
	l := laboratory(t)
	for _, name := range []string{plain, sealed, guarded} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, l, name)
			for _, f := range features {
				t.Run(f.name, func(t *testing.T) { f.try(box{t, s}) })
			}
			t.Run("live restore", func(t *testing.T) { liveRestore(box{t, s}) })
		})
	}
}

// liveRestore restarts the daemon alone.
func liveRestore(b box) {
	id := b.detached(image, "sh", "-c", "echo x >>/count; exec attack hold")
	b.soon("count", func() bool { return b.Docker(b.Context(), "exec", id, "test", "-s", "/count").Code == 0 })
	if err := b.StopDaemon(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := b.StartDaemon(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.is("it ran on", b.sh(id, "wc -l /count"), "1 /count")
	b.docker("cp", id+":/count", filepath.Join(b.TempDir(), "c"))
	b.docker("stop", id)
	b.docker("start", id)
	b.soon("started again", func() bool { return b.Docker(b.Context(), "exec", id, "wc", "-l", "/count").Out == "2 /count\n" })
}
