package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// exitcode N PROGRAM ARGS... runs a program that must end with code N.
func exitcode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// softhsm LABEL... makes SoftHSM2 tokens in a store of the script's own, with
// the PIN 4711, for scripts that ask for [softhsm] first.
func softhsm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: softhsm LABEL...")
	}
	dir := ts.MkAbs("softhsm")
	ts.Check(os.MkdirAll(dir, 0o700))
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	ts.Check(os.WriteFile(conf, []byte(text), 0o600))
	ts.Setenv("SOFTHSM2_CONF", conf)
	ts.Setenv("PLIMSOLL_PKCS11_MODULE", softhsmModule())
	for _, label := range args {
		ts.Check(ts.Exec(softhsmUtil(), "--init-token", "--free", "--label", label, "--so-pin", "123456", "--pin", "4711"))
	}
}

// condition answers the scripts' conditions: [softhsm] is whether SoftHSM2 is
// here, [piv] whether soft PIV cards can be used, and an error where they must
// be.
func condition(name string) (bool, error) {
	if name == "piv" {
		return pivReady()
	}
	if name == "root" {
		if os.Geteuid() != 0 && os.Getenv("CI") == "true" {
			return false, errors.New("not run as root")
		}
		return os.Geteuid() == 0, nil
	}
	if name != "softhsm" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	if !withCgo() {
		return false, nil // this build has no pkcs11: at all
	}
	if _, err := exec.LookPath(softhsmUtil()); err == nil && softhsmModule() != "" {
		return true, nil
	}
	if os.Getenv("CI") == "true" {
		return false, errors.New("SoftHSM2 is missing")
	}
	return false, nil
}

func softhsmUtil() string {
	if path := os.Getenv("PLIMSOLL_SOFTHSM2_UTIL"); path != "" {
		return path
	}
	return "softhsm2-util"
}

func softhsmModule() string {
	if path := os.Getenv("PLIMSOLL_PKCS11_MODULE"); path != "" {
		return path
	}
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/*/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// withCgo reports whether this test binary was built with cgo.
func withCgo() bool {
	info, ok := debug.ReadBuildInfo()
	return !ok || !slices.Contains(info.Settings, debug.BuildSetting{Key: "CGO_ENABLED", Value: "0"})
}
