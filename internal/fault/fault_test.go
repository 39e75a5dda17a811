package fault_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"plimsoll/internal/fault"
)

func TestKindIsTheOutermost(t *testing.T) {
	inner := fault.Errorf(fault.NotFound, "no such tag")
	outer := fault.As(fault.Untrusted, fmt.Errorf("read timestamp: %w", inner))
	tests := []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"plain", errors.New("x"), fault.Internal},
		{"not exist", fmt.Errorf("open: %w", fs.ErrNotExist), fault.NotFound},
		{"wrapped", fmt.Errorf("look: %w", inner), fault.NotFound},
		{"reclassified", outer, fault.Untrusted},
		{"under a hint", fault.Hint(outer, "try again"), fault.Untrusted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.KindOf(tt.err); got != tt.want {
				t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.want)
			}
		})
	}
	if !errors.Is(outer, inner) {
		t.Error("reclassifying lost the cause")
	}
	if fault.As(fault.Denied, nil) != nil || fault.Hint(nil, "x") != nil {
		t.Error("nil became an error")
	}
}

func ExampleHint() {
	err := fault.Errorf(fault.NotFound, "no trust data for %q", "registry.example.com/team/app")
	err = fault.Hint(err, "plimsoll trust init registry.example.com/team/app")
	fmt.Println(err)
	fmt.Println(fault.HintOf(fmt.Errorf("verify: %w", err)))
	// Output:
	// no trust data for "registry.example.com/team/app"
	// plimsoll trust init registry.example.com/team/app
}
