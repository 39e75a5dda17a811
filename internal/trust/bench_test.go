package trust

import (
	"strconv"
	"testing"

	"plimsoll/internal/ref"
)

// BenchmarkStatement is one warm question to the client: timestamp read again,
// the rest remembered.
func BenchmarkStatement(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(strconv.Itoa(n)+" images", func(b *testing.B) {
			w := newWorld(b)
			images := make([]Image, n)
			for i := range images {
				images[i] = image("v"+strconv.Itoa(i), strconv.Itoa(i+1))
			}
			w.must(w.repo.Sign(b.Context(), RoleTargets, images...))
			c := w.client(w.store)
			r := ref.Reference{Tag: "v0"}
			for b.Loop() {
				if _, err := c.Statement(b.Context(), w.gun, w.pins, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSign signs one more image.
func BenchmarkSign(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.must(w.repo.Sign(b.Context(), RoleTargets, image("v1", "a")))
	}
}
