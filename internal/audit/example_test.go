package audit_test

import (
	"context"
	"fmt"
	"os"

	"plimsoll/internal/audit"
	"plimsoll/internal/verdict"
)

func Example() {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	log, err := audit.Open(ctx, dir, audit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := log.Record(ctx, &verdict.Decision{ID: "1", Image: "registry.example.com/app:1", Outcome: verdict.Denied})
	fmt.Println("promised at index", receipt.Index, err)
	fmt.Println(log.Close(ctx))

	reader, err := audit.OpenReader(ctx, dir, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reader.Close()
	report, err := reader.Verify(ctx, nil)
	fmt.Println(report.Size, err)
	// Output:
	// promised at index 0 <nil>
	// <nil>
	// 1 <nil>
}
