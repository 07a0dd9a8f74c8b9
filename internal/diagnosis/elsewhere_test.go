package diagnosis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A stop outlives the mails it came from: a stranger's asking must not hide it.
func TestAnAskingWithAnotherAddressHidesNoStop(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 3, 12, 0, 0, 0, time.UTC)
	s := Story{
		Name: "Jane Doe", Address: "jane@acme.example", AskedElsewhere: &Elsewhere{Address: "jane@acme.exampel", At: now.Add(-time.Minute)},
	}
	require.Equal(t, AskedElsewhere, Judge(s, now).Class)
	s.Suppressed = &Suppression{Class: NoSuchMailbox, Since: now.Add(-30 * day)}
	require.Equal(t, NoSuchMailbox, Judge(s, now).Class)
}
