package piv_test

import (
	"context"
	"fmt"
	"os"

	"plimsoll/internal/key"
	"plimsoll/internal/key/piv"
)

// A key is made in the token, proven, and used.
func Example() {
	ctx := context.Background()
	p := piv.New(piv.Config{PIN: os.Getenv("PLIMSOLL_PIV_PIN")})
	s, err := p.GenerateWith(ctx, "piv:serial=12345678;slot=9c", key.ECDSAP256, key.Policies{Touch: key.PolicyAlways})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	chain, err := s.(key.Attester).Attest(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := key.VerifyAttestation(s.Public(), chain, key.BuiltinAttestationRoots())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Maker, a.Firmware, a.Touch)
}
