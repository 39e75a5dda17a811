package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var errw bytes.Buffer
	code := Main(ctx, []string{"--data", t.TempDir(), "advisories", "build", "../../testdata/advisories"}, nil, io.Discard, &errw)
	if code != exitFailed || !strings.HasSuffix(errw.String(), ": interrupted\n") {
		t.Errorf("exit %d, wrote %q", code, errw.String())
	}
}

func TestJSONCommandsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	env := &Env{Out: &out, output: "json"}
	const text = "a\u009b2J\u202eb\x7f\U000e0041\x1b[2J é 😀 <>&"
	if err := env.print(text, nil); err != nil {
		t.Fatal(err)
	}
	const want = `"a\u009b2J\u202eb\u007f\udb40\udc41\u001b[2J é 😀 <>&"` + "\n"
	if out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
	var back string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != text {
		t.Errorf("read back %q (%v)", back, err)
	}
}
