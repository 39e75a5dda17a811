package rewrite_test

import (
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/rewrite"
)

func TestUpdate(t *testing.T) {
	for _, tt := range []struct{ name, asked, want string }{
		{
			"Docker's, lifted", string(captured(t, "update.resources")),
			`{"memory":{"limit":536870912},"cpu":{"quota":150000,"period":100000,"shares":1024},"pids":{"limit":256}}`,
		},
		{"nothing", `{}`, `{}`},
		{"null", `{"memory":null,"cpu":null}`, `{}`},
		{"empty parts", `{"memory":{},"cpu":{},"pids":{},"blockIO":{}}`, `{}`},
		{
			"lower", `{"memory":{"limit":1048576,"swap":2097152,"reservation":524288},"pids":{"limit":3}}`,
			`{"memory":{"limit":1048576,"swap":2097152,"reservation":524288},"pids":{"limit":3}}`,
		},
		{
			"no limit", `{"memory":{"limit":-1,"swap":-1},"pids":{"limit":-1},"cpu":{"quota":-1}}`,
			`{"memory":{"limit":536870912,"swap":536870912},"cpu":{"quota":150000,"period":100000},"pids":{"limit":256}}`,
		},
		{
			"zero", `{"memory":{"limit":0,"swap":0},"pids":{"limit":0},"cpu":{"quota":0,"period":0}}`,
			`{"memory":{"limit":536870912,"swap":536870912},"cpu":{"quota":150000,"period":100000},"pids":{"limit":256}}`,
		},
		{
			"largest", `{"memory":{"limit":9223372036854775807},"pids":{"limit":18446744073709551615}}`,
			`{"memory":{"limit":536870912},"pids":{"limit":256}}`,
		},
		{"swap alone", `{"memory":{"swap":1048576}}`, `{"memory":{"swap":1048576}}`},
		{"period alone", `{"cpu":{"period":1000}}`, `{"cpu":{"quota":150000,"period":100000}}`},
		{"quota alone", `{"cpu":{"quota":10000}}`, `{"cpu":{"quota":10000,"period":100000}}`},
		{"quota of many periods", `{"cpu":{"quota":1000000,"period":500000}}`, `{"cpu":{"quota":150000,"period":100000}}`},
		{"long period", `{"cpu":{"quota":1000000,"period":1000000}}`, `{"cpu":{"quota":1000000,"period":1000000}}`},
		{"burst", `{"cpu":{"quota":10000,"period":100000,"burst":10000,"realtimeRuntime":95000,"realtimePeriod":100000}}`, `{"cpu":{"quota":10000,"period":100000}}`},
		{"idle", `{"cpu":{"idle":1,"cpus":"0-1,3"}}`, `{"cpu":{"cpus":"0-1,3","idle":1}}`},
		{"by file", `{"unified":{"memory.max":"max","pids.max":"max"},"rdma":{},"network":{"classID":1},"hugepageLimits":[],"devices":[{"allow":true,"access":"rwm"}]}`, `{}`},
		{"kernel memory", `{"memory":{"kernel":-1,"kernelTCP":-1,"disableOOMKiller":true,"useHierarchy":false,"swappiness":101}}`, `{}`},
		{"weights", `{"blockIO":{"weight":1000,"leafWeight":1000,"weightDevice":[{"major":8,"minor":0,"weight":1000}]}}`, `{"blockIO":{"weight":100}}`},
		{
			"throttles", `{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1000},{"major":8,"minor":1,"rate":0}]}}`,
			`{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1000}]}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rewrite.Update([]byte(tt.asked), grant(), situation())
			if err != nil || string(got) != tt.want {
				t.Errorf("%v\n got %s\nwant %s", err, got, tt.want)
			}
		})
	}
	for _, bad := range []string{
		``, `[]`, `null`, `{"memory":1}`, `{"memory":{"limit":"max"}}`, `{"Memory":{"limit":-1}}`, `{"pids":{"limit":1e3}}`,
		`{"memory":{"limit":1},"memory":{"limit":-1}}`, `{"memory":{"limit":1,"Limit":-1}}`, `{"cpu":{"cpus":"0\n1"}}`, `{"blockIO":{"throttleReadBpsDevice":{}}}`,
		`{"pids":{"limit":99999999999999999999999}}`, `{"memory":{"limit":1}} {}`,
	} {
		if _, err := rewrite.Update([]byte(bad), grant(), situation()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		profile     int
		asked, want string
	}{
		{0, `{"weight":500}`, `{"blockIO":{"weight":100}}`},
		{0, `{"weight":50}`, `{"blockIO":{"weight":50}}`},
		{0, `{"weight":0}`, `{}`},
		{300, `{"weight":500}`, `{"blockIO":{"weight":300}}`},
		{300, `{"weight":0}`, `{"blockIO":{"weight":300}}`},
		{300, `{"weight":20}`, `{"blockIO":{"weight":20}}`},
		{300, `{}`, `{}`},
	} {
		g := grant()
		g.Profile = profile.Profile{CPUs: 1, Memory: 6 << 20, PIDs: 1, IOWeight: tt.profile, Runtime: "runc", Network: g.Profile.Network}
		got, err := rewrite.Update([]byte(`{"blockIO":`+tt.asked+`}`), g, situation())
		if err != nil || string(got) != tt.want {
			t.Errorf("%d of %s: %s, %v; want %s", tt.profile, tt.asked, got, err, tt.want)
		}
	}
}

func TestUpdateWithoutSwap(t *testing.T) {
	s := situation()
	s.Swap = false
	if got, err := rewrite.Update([]byte(`{"memory":{"swap":-1}}`), grant(), s); err != nil || string(got) != `{}` {
		t.Errorf("%s %v", got, err)
	}
}
