package secret

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const someMessage = "0198c1d2-1111-7000-8000-00000000000a"

func TestAReturnPathNamesItsMessage(t *testing.T) {
	t.Parallel()
	key := NewKey().Derive(Returned)
	local := SignReturnPath(key, 7, someMessage)
	require.LessOrEqual(t, len(local), 64, "RFC 5321 section 4.5.3.1.1")
	require.Equal(t, strings.ToLower(local), local)
	for _, as := range []string{local, strings.ToUpper(local), strings.ToUpper(local[:20]) + local[20:]} {
		got, ok := ParseReturnPath(as)
		require.True(t, ok, as)
		require.Equal(t, someMessage, got.Message)
		require.EqualValues(t, 7, got.KeyID)
		require.True(t, got.Genuine(key), as)
	}
	require.Empty(t, SignReturnPath(key, 7, "no message"))
}

func TestAForgedReturnPathIsRefused(t *testing.T) {
	t.Parallel()
	ring := NewKey()
	local := SignReturnPath(ring.Derive(Returned), 7, someMessage)
	got, ok := ParseReturnPath(local)
	require.True(t, ok)
	require.False(t, got.Genuine(NewKey().Derive(Returned)), "another key")
	require.False(t, got.Genuine(ring.Derive(Reset)), "another purpose")
	for _, bad := range []string{"", "r-", "no-reply", local[1:], local + "0", local[:len(local)-1], "x" + local[1:], "r-" + strings.Repeat("u", 53), "r-" + strings.Repeat("é", 26) + "0"} {
		_, ok := ParseReturnPath(bad)
		require.False(t, ok, bad)
	}
}

// FuzzReturnPath: no change of a character leaves it genuine.
func FuzzReturnPath(f *testing.F) {
	key := Key{1}.Derive(Returned)
	local := SignReturnPath(key, 3, someMessage)
	f.Add(uint8(5), "x")
	f.Fuzz(func(t *testing.T, at uint8, with string) {
		i := int(at) % len(local)
		changed := local[:i] + with + local[i+1:]
		got, ok := ParseReturnPath(changed)
		if ok && got.Genuine(key) && !strings.EqualFold(changed, local) {
			t.Fatalf("genuine: %q", changed)
		}
	})
}
