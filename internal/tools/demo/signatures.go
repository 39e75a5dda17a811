package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

const rootKey = "pkcs11:token=harbour;object=root"

// signatures makes the keys and signs the images.
func (s *story) signatures(ctx context.Context) error {
	s.stage.prose("The root key is made inside a token (SoftHSM stands in for one) and never leaves it.")
	if err := s.token(ctx); err != nil {
		return err
	}
	if err := s.keys(ctx); err != nil {
		return err
	}
	repository := "file:repository.pem"
	if _, err := s.plimsoll(ctx, allowed, "trust", "init", s.gun(), "--root-key", rootKey, "--key", repository); err != nil {
		return err
	}
	for _, tag := range []string{"old", "new", "altered"} {
		if _, err := s.plimsoll(ctx, allowed, "sign", s.image(tag), "--key", repository); err != nil {
			return err
		}
	}
	s.stage.prose("A stranger, with a root key of their own, signs what they have put into our registry.")
	return s.strangerSigns(ctx)
}

// token makes a token in a folder of the story.
func (s *story) token(ctx context.Context) error {
	if err := os.Mkdir(s.path("tokens"), 0o700); err != nil {
		return fmt.Errorf("make folder of tokens: %w", err)
	}
	config := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", s.path("tokens"))
	if err := os.WriteFile(s.path("softhsm2.conf"), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write SoftHSM's settings: %w", err)
	}
	util := os.Getenv("PLIMSOLL_SOFTHSM2_UTIL")
	if util == "" {
		util = "softhsm2-util"
	}
	args := []string{"--init-token", "--free", "--label", "harbour", "--so-pin", pin, "--pin", pin}
	s.stage.command("softhsm2-util " + words(args))
	r, err := s.run(ctx, util, args...)
	if err != nil {
		return err
	}
	s.stage.output(r.text())
	if r.code != 0 {
		return errors.New("SoftHSM made no token")
	}
	return nil
}

func (s *story) keys(ctx context.Context) error {
	if _, err := s.plimsoll(ctx, allowed, "key", "generate", rootKey); err != nil {
		return err
	}
	var keys []struct {
		Fingerprint string `json:"fingerprint"`
		Extractable *bool  `json:"extractable"`
	}
	if err := s.quiet(ctx, allowed, &keys, "key", "list", rootKey); err != nil {
		return err
	}
	if len(keys) != 1 || !strings.HasPrefix(keys[0].Fingerprint, "sha256:") {
		return fmt.Errorf("the token has %d keys, not one", len(keys))
	}
	s.root = keys[0].Fingerprint
	s.stage.fact("the policy will trust this root alone: %s", s.root)
	if _, err := s.plimsoll(ctx, allowed, "key", "generate", "file:repository.pem"); err != nil {
		return err
	}
	return s.writePolicy()
}

// strangerSigns lets somebody with a data folder and keys of their own sign.
func (s *story) strangerSigns(ctx context.Context) error {
	data := []string{"--data", "stranger"}
	root, key := "file:stranger-root.pem", "file:stranger.pem"
	for _, args := range [][]string{
		{"key", "generate", root},
		{"key", "generate", key},
		{"trust", "init", s.stranger(), "--root-key", root, "--key", key},
		{"sign", s.stranger() + ":new", "--key", key},
	} {
		if _, err := s.plimsoll(ctx, allowed, append(data, args...)...); err != nil {
			return err
		}
	}
	return nil
}
