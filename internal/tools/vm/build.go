package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	moduleFolder = "internal"
	diskSize     = "1536M"
	xfsSize      = 512 << 20 // bytes
)

// suites are the packages whose tests run in the machine; skips are the tests
// that find out by themselves that they have nothing to do there, and without
// those that are not started there, each with its reason.
var suites = []struct {
	pkg            string
	name           string // "": the last part of pkg
	run            string // the only test; "": all
	systemd        bool   // with systemd as the first process
	env            []string
	skips, without map[string]string
}{
	{pkg: "seal/quota", env: []string{"PLIMSOLL_QUOTA_DIRS=/mnt/ext4:/mnt/xfs"}},
	{pkg: "seal/egress"},
	{pkg: "seal/apparmor", skips: map[string]string{"TestWithoutAppArmor": "the machine has AppArmor"}},
	{
		pkg: "seal", env: []string{"PLIMSOLL_ATTACKER=/t/attacker"},
		skips: map[string]string{"TestFullDisk": "this kernel's tmpfs cannot map IDs"},
	},
	{
		pkg: "shim", env: []string{"PLIMSOLL_RUNTIME=/t/plimsoll-runtime"},
		without: map[string]string{
			"TestDockerEngine":     "the machine has no Docker",
			"TestKilledAtEachStep": "it needs many starts under strace, a second and more each here; make test has it",
			systemdTest:            "it is a suite of its own",
		},
		skips: map[string]string{"TestIDsStayTakenWhileSomethingRuns": "it is about control groups of version 1"},
	},
	{pkg: "shim", name: "systemd", run: systemdTest, systemd: true, env: []string{"PLIMSOLL_RUNTIME=/t/plimsoll-runtime", "PLIMSOLL_SYSTEMD=1"}},
	{pkg: "host", name: "unit", run: "TestUnitUnderSystemd", systemd: true, env: []string{"PLIMSOLL_UNIT=/t/plimsoll"}},
}

const systemdTest = "TestSystemdHoldsTotals"

// builder makes a machine in the folder work.
type builder struct {
	cache, work string
	only        []string // names of suites; none: all
	expected    map[string][]expectation
}

// plan is the guest's.
type plan struct {
	Modules         []string
	Suites, Systemd []guestSuite
}

type guestSuite struct {
	Name, Dir string
	Args, Env []string
}

func (b *builder) build(ctx context.Context) (machine, error) {
	kernel, root, err := b.unpack(ctx)
	if err != nil {
		return machine{}, err
	}
	p, err := b.suites(ctx, root)
	if err != nil {
		return machine{}, err
	}
	m := machine{kernel: kernel.image, initrd: filepath.Join(b.work, "initrd"), disks: []string{filepath.Join(b.work, "root.img"), filepath.Join(b.work, "xfs.img")}, work: b.work}
	if err := b.initrd(ctx, m.initrd, root, kernel, p); err != nil {
		return machine{}, err
	}
	return m, b.disks(ctx, m.disks, root)
}

// suites compiles the tests into root and notes which tests there are.
func (b *builder) suites(ctx context.Context, root string) (plan, error) {
	var p plan
	b.expected = map[string][]expectation{}
	for name, pkg := range map[string]string{"attacker": "./internal/seal/testdata/attacker", "plimsoll": "./cmd/plimsoll", "plimsoll-runtime": "./cmd/plimsoll-runtime"} {
		if err := goBuild(ctx, "build", "-o", filepath.Join(root, "t", name), pkg); err != nil {
			return p, err
		}
	}
	for _, s := range suites {
		name, dir := cmp.Or(s.name, filepath.Base(s.pkg)), filepath.Base(s.pkg)
		if len(b.only) > 0 && !slices.Contains(b.only, name) {
			continue
		}
		file := filepath.Join(root, "t", dir, dir+".test")
		if err := compile(ctx, s.pkg, file); err != nil {
			return p, err
		}
		list, err := output(ctx, file, "-test.list", cmp.Or(s.run, "^(Test|Example)"))
		if err != nil {
			return p, err
		}
		for test := range strings.FieldsSeq(list) {
			if s.without[test] == "" {
				b.expected[name] = append(b.expected[name], expectation{test, s.skips[test]})
			}
		}
		args := []string{"/t/" + dir + "/" + dir + ".test", "-test.v", "-test.timeout=4m"}
		if len(s.without) > 0 {
			args = append(args, "-test.skip=^("+strings.Join(slices.Sorted(maps.Keys(s.without)), "|")+")$")
		}
		if s.run != "" {
			args = append(args, "-test.run=^"+s.run+"$")
		}
		g := guestSuite{Name: name, Dir: "/t/" + dir, Env: s.env, Args: args}
		if s.systemd {
			p.Systemd = append(p.Systemd, g)
		} else {
			p.Suites = append(p.Suites, g)
		}
	}
	return p, nil
}

// compile makes the program of a package's tests, with their data beside it.
func compile(ctx context.Context, pkg, file string) error {
	if exists(file) {
		return nil
	}
	if err := goBuild(ctx, "test", "-c", "-o", file, "./"+moduleFolder+"/"+pkg); err != nil {
		return err
	}
	if data := filepath.Join(moduleFolder, pkg, "testdata"); exists(data) {
		return os.CopyFS(filepath.Join(filepath.Dir(file), "testdata"), os.DirFS(data))
	}
	return nil
}

// initrd writes the first root: the guest's program, its plan and the modules. The
// program and the plan are in root too, for systemd.
func (b *builder) initrd(ctx context.Context, path, root string, k kernel, p plan) error {
	guest := filepath.Join(b.work, "guest")
	if err := goBuild(ctx, "build", "-o", guest, "./internal/tools/vm/guest"); err != nil {
		return err
	}
	var buf bytes.Buffer
	a := &archive{w: &buf}
	for _, dir := range []string{"new", "proc", "sys", "dev", "modules"} {
		a.folder(dir)
	}
	files, err := modules(k.modules, wanted)
	if err != nil {
		return err
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		name := "modules/" + filepath.Base(f)
		a.file(name, content)
		p.Modules = append(p.Modules, "/"+name)
	}
	content, err := os.ReadFile(guest)
	if err != nil {
		return err
	}
	a.file("init", content)
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	a.file("plan.json", text)
	if err := a.close(); err != nil {
		return err
	}
	for name, b := range map[string][]byte{"guest": content, "plan.json": text} {
		if err := os.WriteFile(filepath.Join(root, "t", name), b, 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(path, buf.Bytes(), 0o600)
}

// disks makes the file systems: ext4 with the guest's programs, and xfs.
func (b *builder) disks(ctx context.Context, disks []string, root string) error {
	_, err := output(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "quota,project", "-E", "quotatype=prjquota,lazy_itable_init=1,nodiscard", "-m", "0",
		"-d", root, disks[0], diskSize)
	if err != nil {
		return err
	}
	if err := os.WriteFile(disks[1], nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(disks[1], xfsSize); err != nil {
		return err
	}
	_, err = output(ctx, "mkfs.xfs", "-q", "-f", disks[1])
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// goBuild compiles for the guest, which has no C library of ours.
func goBuild(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, errs.Bytes())
	}
	return string(out), nil
}
