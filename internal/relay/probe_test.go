package relay_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/relay"
)

func TestAProbeAsksAndSendsNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []relay.Mode{relay.StartTLS, relay.Implicit, relay.None} {
		o := postOptions{mode: mode, user: "jane", password: "correct horse"}
		if mode == relay.None {
			o.user, o.password = "", ""
		}
		p := newPost(t, o)
		server := at(p.addr, mode)
		server.User, server.Password = o.user, o.password
		options := relay.Options{Hello: "login.example.com", TLSConfig: p.trusting(), Clock: time.Now}

		got := relay.Probe(t.Context(), server, options, envelope)
		require.NoError(t, got.Attempt.Err, got.Attempt.Conversation)
		require.Equal(t, relay.Accepted, got.Attempt.Outcome)
		require.Equal(t, relay.StageRcpt, got.Attempt.Stage)
		require.Contains(t, got.Attempt.Conversation, "C: RSET")
		require.Empty(t, p.arrived())
		require.Equal(t, mode != relay.None, got.TLS != nil)
		secretless(t, got.Attempt)

		refused := relay.Probe(t.Context(), server, options, relay.Envelope{From: envelope.From, To: "nobody@acme.example"})
		require.Equal(t, relay.StageRcpt, refused.Attempt.Stage)
		require.Equal(t, 550, refused.Attempt.Code)
		require.Error(t, refused.Attempt.Err)

		evil := relay.Probe(t.Context(), server, options, relay.Envelope{From: "x@y>\r\nDATA", To: envelope.To})
		require.Error(t, evil.Attempt.Err)
		require.NotContains(t, evil.Attempt.Conversation, "DATA")
	}
}

func TestAProbeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newScript(t, func(k *talker) { k.stall() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := relay.Probe(ctx, at(s.addr, relay.None), relay.Options{Clock: time.Now}, envelope)
	require.Equal(t, relay.StageConnect, got.Attempt.Stage)
	require.Error(t, got.Attempt.Err)
	require.Less(t, got.Attempt.Duration, 5*time.Second)
}
