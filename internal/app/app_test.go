package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
)

func TestSettingsPrecedence(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, "data: /from/file\npolicy: /policy/from/file\nplainHTTP: true\n")
	t.Setenv("PLIMSOLL_CONFIG", config)
	t.Setenv("PLIMSOLL_DATA", "/from/env")
	t.Setenv("PLIMSOLL_POLICY", "")
	t.Setenv("PLIMSOLL_IDS", "")

	s := app.Settings{}
	if err := s.Fill(); err != nil {
		t.Fatal(err)
	}
	if s.Config != config || s.Data != "/from/env" || s.Policy != "/policy/from/file" || !s.PlainHTTP || s.IDs != "/var/lib/plimsoll/ids.json" {
		t.Errorf("Fill: %+v", s)
	}
	s = app.Settings{Data: "/from/flag"}
	if err := s.Fill(); err != nil || s.Data != "/from/flag" {
		t.Errorf("a flag lost to the environment: %+v, %v", s, err)
	}
}

func TestConfigIsStrict(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field": "dta: /x\n",
		"duplicate":     "data: /x\ndata: /y\n",
		"wrong type":    "plainHTTP: [1]\n",
	} {
		t.Run(name, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "config.yaml")
			write(t, config, text)
			s := app.Settings{Config: config}
			if err := s.Fill(); !fault.Is(err, fault.Invalid) {
				t.Errorf("Fill: %v, want invalid", err)
			}
		})
	}
	s := app.Settings{Config: filepath.Join(t.TempDir(), "absent.yaml")}
	if err := s.Fill(); !fault.Is(err, fault.NotFound) {
		t.Errorf("a named configuration file that is absent: %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
