package engine

import (
	"fmt"
	"testing"
	"time"

	"plimsoll/internal/fault"
)

func TestNonceIsForOneRequestOnce(t *testing.T) {
	now := time.Unix(1e9, 0)
	n := NewNonces()
	n.now = func() time.Time { return now }
	issue := func() string {
		t.Helper()
		text, err := n.Issue("POST", "/v1.41/containers/create?name=x")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	text := issue()
	if !n.Redeem(text, "POST", "/v1.41/containers/create?name=x") {
		t.Error("a number that was issued is not known")
	}
	if n.Redeem(text, "POST", "/v1.41/containers/create?name=x") {
		t.Error("a number was taken twice")
	}
	for _, other := range [][2]string{{"GET", "/v1.41/containers/create?name=x"}, {"POST", "/v1.41/containers/create"}, {"POST", "/v1.41/containers/create?name=x "}} {
		text := issue()
		if n.Redeem(text, other[0], other[1]) {
			t.Errorf("%s %q passed with another request's number", other[0], other[1])
		}
		if n.Redeem(text, "POST", "/v1.41/containers/create?name=x") {
			t.Error("a number that was tried on another request is still good")
		}
	}
	text = issue()
	now = now.Add(nonceLife)
	if n.Redeem(text, "POST", "/v1.41/containers/create?name=x") {
		t.Error("a number was taken after its life")
	}
	text = issue()
	n.Forget(text)
	if n.Redeem(text, "POST", "/v1.41/containers/create?name=x") || n.Redeem("", "", "") {
		t.Error("a number that was forgotten, or none, was taken")
	}
}

func TestNoncesAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	n := NewNonces()
	n.now = func() time.Time { return now }
	for i := range maxNonces {
		if _, err := n.Issue("GET", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Issue("GET", "/"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want Unavailable", err)
	}
	now = now.Add(nonceLife)
	if _, err := n.Issue("GET", "/"); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	if len(n.live) != 1 || len(n.order) != 1 {
		t.Errorf("%d and %d are left of those that are too old", len(n.live), len(n.order))
	}
}
