package password

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/fault"
)

func TestPoolRunsNoMoreThanItsWorkersAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(2, 10, time.Second)
		var running, most, done, refused atomic.Int64
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				err := p.run(t.Context(), func() {
					now := running.Add(1)
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					time.Sleep(100 * time.Millisecond) // of the bubble's clock
					running.Add(-1)
				})
				switch {
				case err == nil:
					done.Add(1)
				case fault.Is(err, fault.Unavailable) && fault.As(err).RetryAfter >= time.Second:
					refused.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 2, most.Load())
		require.EqualValues(t, 12, done.Load())
		require.EqualValues(t, 488, refused.Load())
	})
}

func TestWaitingEndsAtTheDeadlineAndNotBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 10, time.Second)
		release := make(chan struct{})
		go func() { _ = p.run(t.Context(), func() { <-release }) }()
		synctest.Wait()
		began := time.Now()
		err := p.run(t.Context(), func() { t.Error("ran beside another") })
		require.True(t, fault.Is(err, fault.Unavailable))
		require.Equal(t, time.Second, time.Since(began))
		close(release)
		synctest.Wait()
		require.NoError(t, p.run(t.Context(), func() {}))
	})
}

func TestWaitingClientWhoLeavesGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 1, time.Minute)
		release := make(chan struct{})
		go func() { _ = p.run(t.Context(), func() { <-release }) }()
		synctest.Wait()

		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- p.run(ctx, func() { t.Error("ran for somebody who left") }) }()
		synctest.Wait()
		require.True(t, fault.Is(p.run(t.Context(), func() {}), fault.Unavailable)) // the queue is full
		leave()
		require.ErrorIs(t, <-left, context.Canceled)

		served := make(chan error, 1)
		go func() { served <- p.run(t.Context(), func() {}) }()
		synctest.Wait()
		close(release)
		require.NoError(t, <-served)
	})
}

func TestClientWhoLeavesWhileHashingKeepsItsPlaceUntilTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 1, time.Second)
		ctx, leave := context.WithCancel(t.Context())
		release := make(chan struct{})
		first := make(chan error, 1)
		go func() { first <- p.run(ctx, func() { <-release }) }()
		synctest.Wait()
		leave()
		synctest.Wait()
		require.True(t, fault.Is(p.run(t.Context(), func() { t.Error("two at once") }), fault.Unavailable))
		close(release)
		require.NoError(t, <-first)
		require.True(t, errors.Is(p.run(ctx, func() { t.Error("ran for somebody who left") }), context.Canceled))
		require.NoError(t, p.run(t.Context(), func() {}))
	})
}

func TestPanicGivesThePlaceBack(t *testing.T) {
	t.Parallel()
	p := newPool(1, 1, time.Second)
	require.Panics(t, func() { _ = p.run(t.Context(), func() { panic("bug") }) })
	require.NoError(t, p.run(t.Context(), func() {}))
}

func TestManyCallersAtOnceGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	h := NewHasher(Options{Workers: 2, MaxQueue: 20, Memory: 8, Time: 1})
	encoded, err := h.Hash(t.Context(), "three unrelated words")
	require.NoError(t, err)
	var wrong, busy atomic.Int64
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			plain, want := "three unrelated words", i%2 == 0
			if !want {
				plain = "some other words here"
			}
			got, err := h.Verify(t.Context(), plain, encoded)
			switch {
			case fault.Is(err, fault.Unavailable):
				busy.Add(1)
			case err != nil || got.OK != want:
				wrong.Add(1)
			}
		})
	}
	all.Wait()
	require.Zero(t, wrong.Load())
	require.Less(t, busy.Load(), int64(500))
}
