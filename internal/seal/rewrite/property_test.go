package rewrite_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
)

// hostile are values and members that ask for more, put anywhere.
var hostile = []string{
	`null`, `-1`, `0`, `18446744073709551615`, `9223372036854775807`, `1.5`, `true`, `false`, `""`, `"/"`, `"/proc"`, `"../.."`, `[]`, `{}`, `[null]`,
	`"bind"`, `"rbind"`, `"proc"`, `"shared"`, `"unconfined"`, `"/proc/1/ns/net"`, `"/proc/694/ns/net"`, `"CAP_SYS_ADMIN"`, `"user"`, `"rw"`, `"suid"`, `"max"`,
	`["CAP_SYS_ADMIN","CAP_KILL"]`, `{"limit":-1}`, `{"a":"b"}`, `["bind","rw","suid","dev","rshared"]`, `[{"allow":true,"access":"rwm"}]`,
	`{"defaultAction":"SCMP_ACT_ALLOW"}`, `[{"type":"network"},{"type":"pid"}]`, `{"uid":0,"gid":0}`, `"system_u:system_r:spc_t:s0"`,
	`{"memory.max":"max"}`, `[{"path":"/bin/sh","args":["sh"]}]`, `[{"type":"RLIMIT_NPROC","hard":1,"soft":1}]`, `"libpod"`, `"/dev/fuse"`,
	`[{"path":"/dev/fuse","type":"c","major":10,"minor":229},{"path":"/dev/sda","type":"b","major":8,"minor":0}]`,
	`{"destination":"/x","type":"none","source":"/etc","options":["rbind"]}`, `{"type":"cgroup"}`, `{"type":"time"}`,
	`{"destination":"/x","type":"proc","source":"proc"}`, `{"kernel.core_pattern":"|/x"}`, `{"policy":"SCHED_FIFO","priority":99}`, `{"class":"IOPRIO_CLASS_RT"}`,
}

var memberNames = strings.Fields(`process root mounts hooks annotations linux user args cwd capabilities rlimits noNewPrivileges apparmorProfile oomScoreAdj
	scheduler selinuxLabel ioPriority execCPUAffinity path readonly destination type source options uidMappings gidMappings prestart createRuntime
	createContainer startContainer poststart poststop sysctl resources cgroupsPath namespaces devices netDevices seccomp rootfsPropagation maskedPaths
	readonlyPaths mountLabel intelRdt memoryPolicy personality timeOffsets memory cpu pids blockIO hugepageLimits network rdma unified limit swap quota
	period shares burst weight bounding ambient vm windows env dev.plimsoll.team run.oci.handler newer`)

func decoded(t testing.TB, text []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// mutate changes one place of a document, and returns it.
func mutate(t testing.TB, r *rand.Rand, v any) any {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		switch n := r.IntN(10); {
		case n < 7 && len(keys) > 0:
			k := keys[r.IntN(len(keys))]
			v[k] = mutate(t, r, v[k])
		case n == 7 && len(keys) > 0:
			delete(v, keys[r.IntN(len(keys))])
		default:
			k := memberNames[r.IntN(len(memberNames))]
			if r.IntN(8) == 0 {
				k = strings.ToUpper(k[:1]) + k[1:]
			}
			v[k] = decoded(t, []byte(hostile[r.IntN(len(hostile))]))
		}
		return v
	case []any:
		switch n := r.IntN(10); {
		case n < 6 && len(v) > 0:
			i := r.IntN(len(v))
			v[i] = mutate(t, r, v[i])
			return v
		case n < 8 && len(v) > 0:
			return slices.Delete(v, 0, 1)
		}
		return append(v, decoded(t, []byte(hostile[r.IntN(len(hostile))])))
	}
	return decoded(t, []byte(hostile[r.IntN(len(hostile))]))
}

// grants are kinds of teams that documents are rewritten for.
func grants() []*protocol.Grant {
	poor, rich := grant(), grant()
	poor.Profile.Capabilities, poor.Profile.ReadOnly, poor.Profile.IOWeight = nil, true, 10
	rich.Profile.SetuidFiles, rich.Profile.Devices = true, []string{"/dev/fuse", "/dev/kvm"}
	return []*protocol.Grant{grant(), poor, rich}
}

func TestWhateverIsAskedIsHarmless(t *testing.T) {
	const rounds = 6000
	r := rand.New(rand.NewPCG(5, 7)) // the same documents every time
	all := captures(t, ".config.json")
	names := slices.Sorted(maps.Keys(all))
	taken := 0
	for range rounds {
		doc := decoded(t, all[names[r.IntN(len(names))]])
		for range 1 + r.IntN(4) {
			doc = mutate(t, r, doc)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		g, s := grants()[r.IntN(3)], situation()
		s.Mappings, s.Swap, s.Unified = r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
		if r.IntN(2) == 0 {
			s.AppArmor = "plimsoll"
		}
		if judgeCreate(t, text, g, s) {
			taken++
		}
	}
	if taken < rounds/5 {
		t.Errorf("only %d of %d documents were taken: the rest says nothing", taken, rounds)
	}
}

// judgeCreate reports whether a document was taken; what is taken must come out
// harmless.
func judgeCreate(t testing.TB, text []byte, g *protocol.Grant, s rewrite.Situation) bool {
	plan, err := rewrite.Create(text, g, s)
	if err != nil {
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.Denied && k != fault.Unavailable {
			t.Errorf("%v: %v\n%s", k, err, text)
		}
		return false
	}
	if err := harmless(plan, g, s); err != nil && !typed(plan.Config) {
		t.Errorf("%v\n%s\nbecame\n%s", err, text, plan.Config)
	}
	return true
}

// typed reports whether runtimes refuse the document: a member that is passed
// on as it was has another type than the specification's.
func typed(config []byte) bool {
	return json.Unmarshal(config, &specs.Spec{}) != nil
}

func FuzzCreate(f *testing.F) {
	for _, config := range captures(f, ".config.json") {
		f.Add(config)
	}
	f.Add([]byte(`{"process":{"cwd":"/"},"root":{"path":"x"},"linux":{"namespaces":[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"}]}}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		for _, g := range grants() {
			judgeCreate(t, config, g, situation())
		}
	})
}

func FuzzProcess(f *testing.F) {
	for _, process := range captures(f, ".process.json") {
		f.Add(process)
	}
	f.Add([]byte(`{"cwd":"/","rlimits":[{"type":"RLIMIT_NOFILE","hard":1,"soft":1}],"scheduler":{"policy":"SCHED_FIFO"}}`))
	f.Fuzz(func(t *testing.T, process []byte) {
		for _, g := range grants() {
			s := situation()
			out, _, err := rewrite.Process(process, g, s)
			if err != nil {
				continue
			}
			var p specs.Process
			if json.Unmarshal(out, &p) != nil {
				continue // so will the runtime's
			}
			if err := harmlessProcess(&p, g, s); err != nil {
				t.Errorf("%v\n%s\nbecame\n%s", err, process, out)
			}
			if err := readAlike(out, &p); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	})
}

func FuzzUpdate(f *testing.F) {
	f.Add(captured(f, "update.resources"))
	f.Add([]byte(`{"memory":{"limit":-1,"swap":0,"reservation":1},"cpu":{"quota":1,"period":1,"cpus":"0"},"pids":{"limit":9},"blockIO":{"weight":9,"throttleReadBpsDevice":[{"major":1,"minor":2,"rate":3}]}}`))
	f.Fuzz(func(t *testing.T, resources []byte) {
		for _, g := range grants() {
			out, err := rewrite.Update(resources, g, situation())
			if err != nil {
				continue
			}
			var r specs.LinuxResources
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if err := harmlessUpdate(&r, g); err != nil {
				t.Errorf("%v\n%s\nbecame\n%s", err, resources, out)
			}
			if err := readAlike(out, &r); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	})
}
