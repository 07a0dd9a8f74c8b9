package proofofwork_test

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/proofofwork"
	"github.com/sparekey/sparekey/internal/secret"
)

var (
	key = secret.NewKey().Derive(proofofwork.Purpose)
	now = time.Date(2026, 5, 12, 10, 53, 20, 0, time.UTC)
)

func ask(t *testing.T, use string) proofofwork.Challenge {
	t.Helper()
	c, err := proofofwork.Ask(key, use, proofofwork.Light, now)
	require.NoError(t, err)
	return c
}

// solve does what the browser does, by the words of the protocol alone.
func solve(t *testing.T, c proofofwork.Challenge) (counter uint32, derived []byte) {
	t.Helper()
	p := c.Parameters
	require.Equal(t, "PBKDF2/SHA-256", p.Algorithm)
	nonce, salt, prefix := unhex(t, p.Nonce), unhex(t, p.Salt), unhex(t, p.KeyPrefix)
	for {
		k, err := pbkdf2.Key(sha256.New, string(binary.BigEndian.AppendUint32(bytes.Clone(nonce), counter)), salt, p.Cost, p.KeyLength)
		require.NoError(t, err)
		if bytes.HasPrefix(k, prefix) {
			return counter, k
		}
		counter++
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

func payload(t *testing.T, c proofofwork.Challenge, counter uint32, derived []byte) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"challenge": c, "solution": map[string]any{"counter": counter, "derivedKey": hex.EncodeToString(derived), "time": 12.5},
	})
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(text)
}

func TestARightAnswerIsBelievedUntilTheChallengeEnds(t *testing.T) {
	t.Parallel()
	c := ask(t, "help")
	counter, derived := solve(t, c)
	require.Less(t, counter, uint32(proofofwork.Light))
	text := payload(t, c, counter, derived)
	p, err := proofofwork.Check(key, "help", text, now.Add(proofofwork.Life-time.Second))
	require.NoError(t, err)
	require.Equal(t, c.Parameters.Nonce, p.ID)
	require.Equal(t, now.Add(proofofwork.Life).Unix(), p.Ends.Unix())
	_, err = proofofwork.Check(key, "help", text, now.Add(proofofwork.Life))
	require.ErrorIs(t, err, proofofwork.ErrOver)
}

func TestAnAnswerToSomethingElseIsNone(t *testing.T) {
	t.Parallel()
	c := ask(t, "help")
	counter, derived := solve(t, c)
	check := func(key secret.PurposeKey, use string, c proofofwork.Challenge, derived []byte) error {
		_, err := proofofwork.Check(key, use, payload(t, c, counter, derived), now)
		return err
	}
	require.NoError(t, check(key, "help", c, derived))
	require.ErrorIs(t, check(key, "forgot-password", c, derived), proofofwork.ErrWrong, "made for another use")
	require.ErrorIs(t, check(secret.NewKey().Derive(proofofwork.Purpose), "help", c, derived), proofofwork.ErrWrong, "made by somebody else")
	require.ErrorIs(t, check(key, "help", ask(t, "help"), derived), proofofwork.ErrWrong, "of another challenge")

	lazy := bytes.Clone(derived)
	clear(lazy[len(lazy)/2:]) // the half that the challenge tells
	require.ErrorIs(t, check(key, "help", c, lazy), proofofwork.ErrWrong, "only what the challenge tells")
	require.ErrorIs(t, check(key, "help", c, nil), proofofwork.ErrWrong)

	for name, change := range map[string]func(*proofofwork.Parameters){
		"later end":     func(p *proofofwork.Parameters) { p.ExpiresAt += 3600 },
		"cheaper":       func(p *proofofwork.Parameters) { p.Cost = 1 },
		"new name":      func(p *proofofwork.Parameters) { p.Nonce = strings.Repeat("0", 32) },
		"own signature": func(p *proofofwork.Parameters) { p.KeySignature = "" },
	} {
		changed := c
		change(&changed.Parameters)
		require.ErrorIs(t, check(key, "help", changed, derived), proofofwork.ErrWrong, name)
	}
}

func TestWhatIsNoAnswerIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := proofofwork.Check(key, "help", "", now)
	require.ErrorIs(t, err, proofofwork.ErrMissing)
	for _, text := range []string{"x", "{}", "bnVsbA==", "e30=", "W10=", strings.Repeat("A", 1<<20), base64.StdEncoding.EncodeToString([]byte(`{"challenge":[]}`))} {
		_, err := proofofwork.Check(key, "help", text, now)
		require.ErrorIs(t, err, proofofwork.ErrWrong)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("")
	f.Add("e30=")
	f.Add(base64.StdEncoding.EncodeToString([]byte(`{"challenge":{"parameters":{"expiresAt":1e400},"signature":""},"solution":{"derivedKey":"00"}}`)))
	f.Fuzz(func(t *testing.T, text string) {
		_, err := proofofwork.Check(key, "help", text, now)
		require.Error(t, err)
	})
}
