package app

import (
	"context"
	"sync"

	"plimsoll/internal/fault"
)

// shared computes each value once, for whoever asks for it, at once or later.
// The zero value is ready.
type shared[K comparable, V any] struct {
	mu  sync.Mutex
	all map[K]*pending[V]
}

type pending[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// get returns what fn returns, or returned when it was first called for key.
func (s *shared[K, V]) get(ctx context.Context, key K, fn func() (V, error)) (V, error) {
	s.mu.Lock()
	if s.all == nil {
		s.all = map[K]*pending[V]{}
	}
	p, there := s.all[key]
	if !there {
		p = &pending[V]{done: make(chan struct{})}
		s.all[key] = p
	}
	s.mu.Unlock()
	if !there {
		defer close(p.done)
		p.value, p.err = fn()
		return p.value, p.err
	}
	select {
	case <-p.done:
		return p.value, p.err
	case <-ctx.Done():
		var none V
		return none, fault.As(fault.Unavailable, ctx.Err())
	}
}
