package leaked_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/password/leaked"
)

func TestListedInAnyCase(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"password", "PASSWORD", "12345678", "iloveyou", "trustno1", "1qaz2wsx", "qwertyuiop"} {
		require.True(t, leaked.Contains(plain), plain)
	}
}

func TestOnlyWholePasswordsAreListed(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"", "passwor", "three unrelated words", "password and more", " password"} {
		require.False(t, leaked.Contains(plain), plain)
	}
}

func TestListIsLargeEnough(t *testing.T) {
	t.Parallel()
	// OWASP ASVS 6.2.4 asks for 3,000 that fit the policy.
	require.Greater(t, leaked.Count(), 10_000)
}
