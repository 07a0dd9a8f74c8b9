package password_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/password"
)

// quick gives the smallest cost, so that the tests are about behaviour.
func quick() *password.Hasher {
	return password.NewHasher(password.Options{Workers: 2, Memory: 8, Time: 1, MaxWait: 10 * time.Second, MaxQueue: 1000})
}

func TestHashVerifiesOnlyItsOwnPassword(t *testing.T) {
	t.Parallel()
	h := quick()
	encoded, err := h.Hash(t.Context(), "three unrelated words")
	require.NoError(t, err)
	require.Equal(t, h.Shape(), password.Shape(encoded))

	for _, tc := range []struct {
		name, plain string
		ok          bool
	}{
		{"the same", "three unrelated words", true},
		{"another case", "Three unrelated words", false},
		{"cut", "three unrelated word", false},
		{"longer", "three unrelated words ", false},
		{"space before", " three unrelated words", false},
		{"NUL after", "three unrelated words\x00", false},
		{"nothing", "", false},
		{"no text", "three unrelated words\xff", false},
		{"very long", strings.Repeat("three unrelated words", 100000), false},
	} {
		got, err := h.Verify(t.Context(), tc.plain, encoded)
		require.NoError(t, err, tc.name)
		require.Equal(t, password.Result{OK: tc.ok}, got, tc.name)
	}
}

func TestHashIsSalted(t *testing.T) {
	t.Parallel()
	h := quick()
	one, err := h.Hash(t.Context(), "three unrelated words")
	require.NoError(t, err)
	two, err := h.Hash(t.Context(), "three unrelated words")
	require.NoError(t, err)
	require.NotEqual(t, one, two)
}

func TestDefaultCostIsTheRecommendedOne(t *testing.T) {
	t.Parallel()
	require.Equal(t, "argon2id$m=19456,t=2,p=1", password.NewHasher(password.Options{}).Shape())
}

// The memory of hashes is used again and again, by several at once: what one
// leaves behind must not be seen in another's sum. golang.org/x/crypto, which
// takes fresh memory, is the judge.
func TestSumsAreThoseOfTheReferenceWhateverWasHashedBefore(t *testing.T) {
	t.Parallel()
	base := base64.RawStdEncoding
	for _, cost := range []password.Options{{Memory: 8, Time: 1}, {Memory: 77, Time: 3}, {Memory: 64, Time: 2, Threads: 4}, {Memory: 2048, Time: 2}} {
		h := password.NewHasher(password.Options{
			Workers: 3, MaxQueue: 1000, MaxWait: time.Minute,
			Memory: cost.Memory, Time: cost.Time, Threads: cost.Threads,
		})
		var m, passes uint32
		var threads uint8
		_, err := fmt.Sscanf(h.Shape(), "argon2id$m=%d,t=%d,p=%d", &m, &passes, &threads)
		require.NoError(t, err)
		var all sync.WaitGroup
		for n := range 12 {
			all.Go(func() {
				plain := strings.Repeat(fmt.Sprintf("words %d ", n), 1+rand.IntN(12)) + "."
				encoded, err := h.Hash(t.Context(), plain)
				if err != nil {
					t.Error(err)
					return
				}
				parts := strings.Split(encoded, "$")
				salt, err := base.DecodeString(parts[4])
				if err != nil {
					t.Error(err)
					return
				}
				sum := argon2.IDKey([]byte(plain), salt, passes, m, threads, 32)
				if want := base.EncodeToString(sum); parts[5] != want {
					t.Errorf("%s: the sum of %q is %s, not %s", h.Shape(), plain, want, parts[5])
				}
			})
		}
		all.Wait()
	}
}

//nolint:paralleltest // it looks at what the process allocates
func TestHashesUseTheirMemoryAgain(t *testing.T) {
	const memory, times = 1 << 12, 40 // 4 MiB
	h := password.NewHasher(password.Options{Workers: 1, Memory: memory, Time: 1})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		_, err := h.Hash(t.Context(), "three unrelated words")
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(times*memory*1024/2), "bytes for %d hashes", times)
}

func TestCostOutsideTheLimitsStillVerifies(t *testing.T) {
	t.Parallel()
	for _, o := range []password.Options{{Memory: 1, Time: 1, Threads: 4}, {Memory: 8, Time: 1, Threads: 255}} {
		h := password.NewHasher(o)
		encoded, err := h.Hash(t.Context(), "three unrelated words")
		require.NoError(t, err)
		got, err := h.Verify(t.Context(), "three unrelated words", encoded)
		require.NoError(t, err)
		require.Equal(t, password.Result{OK: true}, got)
	}
}

func TestAnotherCostIsUpgraded(t *testing.T) {
	t.Parallel()
	old := password.NewHasher(password.Options{Memory: 16, Time: 1})
	encoded, err := old.Hash(t.Context(), "three unrelated words")
	require.NoError(t, err)
	got, err := quick().Verify(t.Context(), "three unrelated words", encoded)
	require.NoError(t, err)
	require.Equal(t, password.Result{OK: true, Upgrade: true}, got)
	got, err = quick().Verify(t.Context(), "three unrelated wordz", encoded)
	require.NoError(t, err)
	require.Equal(t, password.Result{}, got)
}

func TestUnusableHashesMatchNothing(t *testing.T) {
	t.Parallel()
	h := quick()
	for _, encoded := range []string{"", "!", "$", "$$$$$", "{SSHA}", "plain", "$argon2id$v=19$m=8,t=1,p=1$$"} {
		for _, plain := range []string{"", "!", "plain", "three unrelated words"} {
			got, err := h.Verify(t.Context(), plain, encoded)
			require.NoError(t, err)
			require.Equal(t, password.Result{}, got)
		}
		require.Empty(t, password.Shape(encoded))
	}
}

func TestRefusedPasswordIsNotHashed(t *testing.T) {
	t.Parallel()
	h := quick()
	for _, plain := range []string{"", "a\x00b", "a\nb", "\x7f", "\xff", "\u2028", "\ufffe", strings.Repeat("é", 257), strings.Repeat("a", 50<<20)} {
		within(t, 100*time.Millisecond, func() {
			_, err := h.Hash(t.Context(), plain)
			require.True(t, fault.Is(err, fault.Invalid))
			require.Equal(t, "password", fault.As(err).Fields[0].Name)
		})
	}
	require.Zero(t, h.Begun())
}

// within fails if work never takes less than the limit: one of twenty tries has
// the processor to itself also on a busy machine.
func within(t *testing.T, limit time.Duration, work func()) {
	t.Helper()
	quickest := time.Hour
	for i := 0; i < 20 && quickest >= limit; i++ {
		began := time.Now()
		work()
		quickest = min(quickest, time.Since(began))
	}
	require.Less(t, quickest, limit)
}

func TestEveryWritingIsAccepted(t *testing.T) {
	t.Parallel()
	h := quick()
	for _, plain := range []string{
		"👨‍👩‍👧‍👦 ❤️ 1️⃣", "Füße wärmen", "foo·bar", "пароль из слов", "密码密码密码", "كلمة سر", "می‌خواهم",
		"  outer spaces  ", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", strings.Repeat("é", 256), strings.Repeat("😀", 256),
	} {
		encoded, err := h.Hash(t.Context(), plain)
		require.NoError(t, err, plain)
		got, err := h.Verify(t.Context(), plain, encoded)
		require.NoError(t, err)
		require.Equal(t, password.Result{OK: true}, got, plain)
	}
}

func TestComposedAndDecomposedAreOnePassword(t *testing.T) {
	t.Parallel()
	h := quick()
	encoded, err := h.Hash(t.Context(), "cafe\u0301 au lait pour tous")
	require.NoError(t, err)
	for plain, want := range map[string]bool{
		"caf\u00e9 au lait pour tous":        true,
		"caf\u00e9\u00a0au lait pour tous":   true, // a no-break space is a space
		"cafe au lait pour tous":             false,
		"\uff43af\u00e9 au lait pour tous":   false, // width is kept
		"caf\u00e9 au lait pour tous\u200d":  false,
		"cafe\u0301\u0301 au lait pour tous": false,
	} {
		got, err := h.Verify(t.Context(), plain, encoded)
		require.NoError(t, err)
		require.Equal(t, password.Result{OK: want}, got, "%+q", plain)
	}
}
