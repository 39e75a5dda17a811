package inventory

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDropPlans(t *testing.T) {
	lib := func(name, version string, methods ...string) Component {
		return recognisedBy(Library, PyPI, name, version, methods...)
	}
	for _, test := range []struct {
		name       string
		components []Component
		want       []string
	}{
		{"only planned", []Component{lib("a", "1", "lock"), lib("b", "1", "lock")}, []string{"a 1", "b 1"}},
		{
			"half of it is installed: the rest was not meant for here",
			[]Component{lib("a", "1", "lock", "python"), lib("b", "1", "lock"), lib("pip", "1", "python")},
			[]string{"a 1", "pip 1"},
		},
		{
			"little of it is installed: another version is not",
			[]Component{lib("a", "1", "lock"), lib("A", "2", "python"), lib("b", "1", "lock"), lib("c", "1", "lock")},
			[]string{"A 2", "b 1", "c 1"},
		},
		{
			"an SBOM installs nothing",
			[]Component{lib("a", "1", "lock", "sbom"), lib("b", "1", "lock")},
			[]string{"a 1", "b 1"},
		},
		{
			"another ecosystem's package of that name",
			[]Component{lib("a", "1", "lock"), recognisedBy(Library, NPM, "a", "2", "npm")},
			[]string{"a 1", "a 2"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i := range test.components { // all plans are in one file
				for k := range test.components[i].Evidence {
					test.components[i].Evidence[k].Index = 0
				}
			}
			v := &Inventory{Components: test.components}
			v.DropPlans([]string{"lock"}, []string{"sbom"})
			var got []string
			for _, c := range v.Components {
				got = append(got, c.Name+" "+c.Version)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
		})
	}
}

func ExampleInventory_DropPlans() {
	v := &Inventory{Components: []Component{
		{Type: PyPI, Name: "six", Version: "1.16.0", Evidence: []Evidence{{Path: "six.dist-info/METADATA", Method: "python"}}},
		{Type: PyPI, Name: "colorama", Version: "0.4", Evidence: []Evidence{{Path: "uv.lock", Method: "python-lock"}}},
		{Type: PyPI, Name: "six", Version: "1.15.0", Evidence: []Evidence{{Path: "uv.lock", Method: "python-lock"}}},
	}}
	v.DropPlans([]string{"python-lock"}, []string{"sbom"})
	fmt.Println(len(v.Components), v.Components[0].Name, v.Components[0].Version)
	// Output: 1 six 1.16.0
}
