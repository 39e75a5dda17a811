package rewrite_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/seal/rewrite"
)

// docker run --privileged, of a team that was granted little.
func ExampleCreate() {
	config, err := os.ReadFile("testdata/privileged.config.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := rewrite.Create(config, grant(), situation())
	if err != nil {
		fmt.Println(err)
		return
	}
	var spec specs.Spec
	if err := json.Unmarshal(plan.Config, &spec); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("capabilities", spec.Process.Capabilities.Bounding)
	fmt.Println("devices     ", len(plan.Devices))
	fmt.Println("group       ", spec.Linux.CgroupsPath[:30])
	for _, m := range plan.Mounts {
		fmt.Println("to attach   ", m.Destination, "at", m.Target)
	}
	// Output:
	// capabilities [CAP_CHOWN CAP_KILL CAP_NET_BIND_SERVICE CAP_SETUID]
	// devices      0
	// group        /plimsoll/payments/b8a53038a2e
	// to attach    /etc/resolv.conf at /b/m0
	// to attach    /etc/hostname at /b/m1
	// to attach    /etc/hosts at /b/m2
}

func ExampleUpdate() {
	limits, err := rewrite.Update([]byte(`{"memory":{"limit":-1},"pids":{"limit":100}}`), grant(), situation())
	fmt.Println(string(limits), err)
	// Output: {"memory":{"limit":536870912},"pids":{"limit":100}} <nil>
}

func ExampleRead() {
	config, err := os.ReadFile("testdata/join.config.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	asked, err := rewrite.Read(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range asked.Join {
		fmt.Println(n.Type, n.Path)
	}
	// Output:
	// network /proc/694/ns/net
	// pid /proc/694/ns/pid
	// ipc /proc/694/ns/ipc
}

func BenchmarkCreate(b *testing.B) {
	config, g, s := captured(b, "plain.config"), grant(), situation()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rewrite.Create(config, g, s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	config := captured(b, "plain.config")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rewrite.Read(config); err != nil {
			b.Fatal(err)
		}
	}
}
