package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// keep runs a keeper for so long, and returns when it looked and what it logged.
func keep(t *testing.T, lasts time.Duration, guns []ref.GUN, refresh func(gun ref.GUN, n int) (app.Refreshed, error)) (looks []string, text string) {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), lasts)
		defer cancel()
		start, n := time.Now(), map[ref.GUN]int{}
		k := &app.Keeper{GUNs: guns, Every: 6 * time.Hour, Log: slog.New(slog.NewTextHandler(&out, nil)), Refresh: func(_ context.Context, gun ref.GUN) (app.Refreshed, error) {
			n[gun]++
			looks = append(looks, fmt.Sprintf("%s %s", gun, time.Since(start)))
			return refresh(gun, n[gun])
		}}
		if err := k.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return looks, out.String()
}

func TestKeeperLooksEverySoOften(t *testing.T) {
	looks, text := keep(t, 13*time.Hour, []ref.GUN{"a", "b"}, func(_ ref.GUN, n int) (app.Refreshed, error) {
		return app.Refreshed{Signed: n == 2}, nil
	})
	want := []string{"a 0s", "b 0s", "a 6h0m0s", "b 6h0m0s", "a 12h0m0s", "b 12h0m0s"}
	if diff := cmp.Diff(want, looks); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(text, "signed again"); n != 2 {
		t.Errorf("signed %d times:\n%s", n, text)
	}
}

// TestKeeperGoesOn: what fails is tried again, soon at first, and holds up
// nothing else.
func TestKeeperGoesOn(t *testing.T) {
	looks, text := keep(t, 6*time.Hour+time.Minute/2, []ref.GUN{"a", "b"}, func(gun ref.GUN, n int) (app.Refreshed, error) {
		if gun == "a" && n < 4 {
			return app.Refreshed{}, fault.Hint(errors.New("the registry is away"), "wait")
		}
		return app.Refreshed{}, nil
	})
	want := []string{"a 0s", "b 0s", "a 1m0s", "a 3m0s", "a 7m0s", "b 6h0m0s"}
	if diff := cmp.Diff(want, looks); diff != "" {
		t.Error(diff)
	}
	if strings.Count(text, "the registry is away") != 3 || !strings.Contains(text, "hint=wait") || !strings.Contains(text, "stopped") {
		t.Error(text)
	}
}

func TestKeeperBackOffIsBounded(t *testing.T) {
	looks, _ := keep(t, 48*time.Hour, []ref.GUN{"a"}, func(ref.GUN, int) (app.Refreshed, error) {
		return app.Refreshed{}, errors.New("no")
	})
	if len(looks) < 14 || len(looks) > 18 { // nine that double up to six hours, then one every six
		t.Errorf("%d looks: %v", len(looks), looks)
	}
}

func TestKeeperWarns(t *testing.T) {
	_, text := keep(t, time.Hour, []ref.GUN{"a"}, func(ref.GUN, int) (app.Refreshed, error) {
		now := time.Now()
		return app.Refreshed{Status: &trust.Status{Now: now, Roles: []trust.RoleStatus{
			{Role: trust.RoleRoot, Expires: now.Add(20 * 24 * time.Hour)},
			{Role: trust.RoleTargets, Expires: now.Add(200 * 24 * time.Hour)},
			{Role: "qa"},
		}}}, nil
	})
	if strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "role=root") {
		t.Error(text)
	}
}

func TestKeeperOfNothing(t *testing.T) {
	if err := (&app.Keeper{Every: time.Hour}).Run(t.Context()); !fault.Is(err, fault.Usage) {
		t.Error(err)
	}
}
