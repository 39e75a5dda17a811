package python

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/scan/metadata"
	"plimsoll/internal/scan/scantest"
)

func TestLocks(t *testing.T) {
	for _, test := range []struct {
		name, path string
		content    []byte
		confidence float64
		want       []string
	}{
		{"uv", "app/uv.lock", testdata(t, "uv.lock"), metadata.Plan, []string{"certifi 2025.1.31", "charset-normalizer 3.4.1", "idna 3.10", "requests 2.32.3", "urllib3 2.3.0"}},
		{"pdm without what is for tests", "app/pdm.lock", testdata(t, "pdm.lock"), metadata.Plan, []string{"certifi 2025.1.31", "chardet 3.0.4", "charset-normalizer 2.0.12", "idna 2.7", "requests 2.27.1", "urllib3 1.26.20"}},
		{"poetry, all for development", "app/poetry.lock", testdata(t, "poetry.lock"), 0, nil},
		{
			"poetry 2 and sources", "app/poetry.lock", []byte("[[package]]\nname = \"Django\"\nversion = \"4.2\"\ngroups = [\"main\", \"dev\"]\n\n[package.dependencies]\nversion = \"9\"\n\n" +
				"[[package]]\nname = \"git\"\nversion = \"1\"\n\n[package.source]\ntype = \"git\"\n\n[[package]]\nname = \"own\"\nversion = \"2\"\n\n[package.source]\ntype = \"legacy\"\n\n[metadata]\nname = \"x\"\n"),
			metadata.Plan,
			[]string{"django 4.2", "own 2"},
		},
		{"pylock", "app/pylock.toml", testdata(t, "pylock.toml"), metadata.Plan, []string{"attrs 25.1.0", "cattrs 24.1.2", "numpy 2.2.3"}},
		{"pipenv", "app/Pipfile.lock", testdata(t, "Pipfile.lock"), metadata.Plan, []string{"aio-pika 6.8.0", "aiodns 2.0.0", "aiohttp 3.7.4.post0", "aiohttp-jinja2 1.4.2"}},
		{
			"requirements", "app/requirements.txt",
			[]byte("# comment == 1\nDjango[argon2]==4.2.1 ; python_version > \"3\" --hash=sha256:00\nsix == 1.16.0 \\\n    --hash=sha256:00\n-r other.txt==1\nrequests>=2\na==1.*\nb===3 # why\nhttps://example.com/x==1\nx @ file:///y==1\n"),
			pin,
			[]string{"b 3", "django 4.2.1", "six 1.16.0"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !scantest.Wants(Locks{}, test.path, nil) {
				t.Error("not wanted")
			}
			found, err := Locks{}.Extract(t.Context(), scantest.File(test.path, test.content))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, scantest.Summary(found.Components)); diff != "" {
				t.Errorf("components (-want +got):\n%s", diff)
			}
			if found.Unless != "app/.venv" {
				t.Errorf("unless %q", found.Unless)
			}
			for _, c := range found.Components {
				if c.Evidence[0].Confidence != test.confidence {
					t.Errorf("confidence in %s is %v", c.Name, c.Evidence[0].Confidence)
				}
			}
		})
	}
}

func TestLocksOfPackagesAreNotWanted(t *testing.T) {
	for _, path := range []string{"usr/lib/python3/dist-packages/x/requirements.txt", "usr/share/doc/x/poetry.lock", "app/node_modules/x/uv.lock", "srv/site-packages/Pipfile.lock"} {
		if scantest.Wants(Locks{}, path, nil) {
			t.Errorf("%s is wanted", path)
		}
	}
}

func FuzzLocks(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "uv.lock", "[[package]]\nname = \"a\"\nversion = '1'\nsource = { registry = \"x\" }\n[package.source]\ntype = \"git\"\n")
}

func FuzzPipfile(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "Pipfile.lock", `{"default": {"a": {"version": "==1"}}}`)
}

func FuzzRequirements(f *testing.F) {
	scantest.Fuzz(f, Locks{}, "requirements.txt", "a[b]==1 ; x --hash=1\n")
}
