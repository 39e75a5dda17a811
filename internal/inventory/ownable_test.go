package inventory

import "testing"

func TestOwnable(t *testing.T) {
	for path, want := range map[string]bool{
		"usr/lib/python3/dist-packages/x-1.dist-info/METADATA":        true,
		"usr/lib/python3.11/site-packages/x.egg-info":                 true,
		"usr/lib64/python3.9/site-packages/x-1.egg-info/PKG-INFO":     true,
		"usr/share/nodejs/a/node_modules/b/package.json":              true,
		"usr/lib/x86_64-linux-gnu/nodejs/a/package.json":              true,
		"usr/lib/node_modules_22/npm/node_modules/a/package.json":     true,
		"usr/share/java/commons-io.jar":                               true,
		"usr/lib/jvm/java-17-openjdk-amd64/release":                   true,
		"usr/share/rubygems-integration/all/specifications/x.gemspec": true,
		"usr/lib/erlang/lib/ssl-10.8/ebin/ssl.app":                    true,
		"usr/lib/R/library/MASS/DESCRIPTION":                          true,
		"usr/share/dotnet/shared/x/x.deps.json":                       true,
		"usr/share/python-wheels/pip-23.whl":                          true,
		"usr/lib/python3/dist-packages/x/data.json":                   false,
		"usr/share/elasticsearch/lib/x.jar":                           false,
		"opt/app/x.gemspec":                                           false,
		"app/node_modules/lodash/package.json":                        false,
		"srv/venv/lib/python3.11/site-packages/x.dist-info/METADATA":  false,
		"usr/share/kibana/node_modules/lodash/package.json":           false,
		"opt/x/usr/lib/python3/x.egg-info":                            false,
		"usr/local/lib/python3.12/site-packages/x.egg-info":           false,
	} {
		if got := Ownable(path); got != want {
			t.Errorf("Ownable(%q) = %v", path, got)
		}
	}
}
