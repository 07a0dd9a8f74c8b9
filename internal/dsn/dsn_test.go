package dsn

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsNoMailIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "550 5.1.1 no such user", "\x00\x01\x02", "   indented\n\n"} {
		_, err := Read(strings.NewReader(text))
		require.ErrorIs(t, err, ErrNoMail, "%q", text)
	}
}

func TestAnEncodedWordDecodes(t *testing.T) {
	t.Parallel()
	r, err := Read(strings.NewReader("Subject: =?utf-8?Q?Unzustellbar=3A_Gr=C3=BC=C3=9Fe?=\nFrom: a@b.example\n\nx\n"))
	require.NoError(t, err)
	assert.Equal(t, "Unzustellbar: Grüße", r.Subject)
	assert.Equal(t, None, r.Kind)
}
