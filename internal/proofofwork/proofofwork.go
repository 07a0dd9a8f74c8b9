// Package proofofwork asks a browser to compute for about a second, so that
// sending a form a thousand times costs something. It asks nothing of eyes or
// ears: it is the CAPTCHA of pages that anybody may use.
//
// It speaks the server's side of the second ALTCHA protocol with PBKDF2/SHA-256:
// the browser looks for the number from which a key with a given beginning is
// derived. Whoever made the challenge knows the whole key and has signed it, so
// checking an answer costs two MACs and no derivation. It is pure: no database,
// no clock. That an answer counts once is the caller's memory (Proof.ID).
package proofofwork

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/secret"
)

// Purpose derives the key that signs challenges from the master key.
const Purpose secret.Purpose = "proof-of-work"

// Life is how long a challenge may be answered.
const Life = 10 * time.Minute

// Effort is the most derivations that an answer may take; on average it is half.
type Effort int

// Light is about a second on a phone: one derivation takes it one to two
// milliseconds, with several of them at once.
const Light Effort = 1_000

// rounds are those of one derivation. Making a challenge costs us one derivation.
const rounds = 1_000

const (
	algorithm = "PBKDF2/SHA-256"
	keyLength = 32
	// prefix is how much of the key the browser is told. The other half it learns
	// only by deriving it.
	prefix = keyLength / 2
)

// Challenge is what a browser is asked; its JSON is the protocol's.
type Challenge struct {
	Parameters Parameters `json:"parameters"`
	Signature  string     `json:"signature"`
}

// Parameters say what to compute. The fields stand in the order of their names,
// in which the protocol signs them.
type Parameters struct {
	Algorithm    string `json:"algorithm"`
	Cost         int    `json:"cost"`
	ExpiresAt    int64  `json:"expiresAt"` // Unix seconds
	KeyLength    int    `json:"keyLength"`
	KeyPrefix    string `json:"keyPrefix"`
	KeySignature string `json:"keySignature"`
	Nonce        string `json:"nonce"`
	Salt         string `json:"salt"`
}

// Ask makes a challenge for one use: an answer to it is none for another.
func Ask(key secret.PurposeKey, use string, effort Effort, now time.Time) (Challenge, error) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	nonce, salt := random[:16], random[16:]
	counter, err := rand.Int(rand.Reader, big.NewInt(int64(effort)))
	if err != nil {
		return Challenge{}, fmt.Errorf("choose counter: %w", err)
	}
	guess := binary.BigEndian.AppendUint32(append([]byte(nil), nonce...), uint32(counter.Uint64())) //nolint:gosec // below Effort
	derived, err := pbkdf2.Key(sha256.New, string(guess), salt, rounds, keyLength)
	if err != nil {
		return Challenge{}, fmt.Errorf("derive key of challenge: %w", err)
	}
	p := Parameters{
		Algorithm: algorithm, Cost: rounds, ExpiresAt: now.Add(Life).Unix(), KeyLength: keyLength,
		KeyPrefix: hex.EncodeToString(derived[:prefix]), KeySignature: sign(key, "key", use, derived),
		Nonce: hex.EncodeToString(nonce), Salt: hex.EncodeToString(salt),
	}
	signature, err := p.sign(key, use)
	return Challenge{Parameters: p, Signature: signature}, err
}

// Proof is a right answer. It counts once: the caller remembers ID until Ends.
type Proof struct {
	ID   string
	Ends time.Time
}

// The reasons to refuse an answer.
var (
	ErrMissing = errors.New("no answer to a challenge")
	ErrOver    = errors.New("the challenge is too old")
	ErrWrong   = errors.New("not the answer to a challenge of ours")
)

// mostAnswer bounds the text of an answer; an honest one has about 800 bytes.
const mostAnswer = 4 << 10

type answer struct {
	Challenge Challenge `json:"challenge"`
	Solution  struct {
		DerivedKey string `json:"derivedKey"`
	} `json:"solution"`
}

// Check reads the answer of a browser: base64 of the JSON with the challenge and
// its solution. It computes nothing for an answer to a challenge that is not ours.
func Check(key secret.PurposeKey, use, text string, now time.Time) (Proof, error) {
	if text == "" {
		return Proof{}, ErrMissing
	}
	if len(text) > mostAnswer {
		return Proof{}, ErrWrong
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return Proof{}, ErrWrong
	}
	var a answer
	if json.Unmarshal(raw, &a) != nil {
		return Proof{}, ErrWrong
	}
	p := a.Challenge.Parameters
	signature, err := p.sign(key, use)
	if err != nil || !hmac.Equal([]byte(signature), []byte(a.Challenge.Signature)) {
		return Proof{}, ErrWrong
	}
	ends := time.Unix(p.ExpiresAt, 0)
	if !now.Before(ends) {
		return Proof{}, ErrOver
	}
	derived, err := hex.DecodeString(a.Solution.DerivedKey)
	if err != nil || !hmac.Equal([]byte(sign(key, "key", use, derived)), []byte(p.KeySignature)) {
		return Proof{}, ErrWrong
	}
	return Proof{ID: p.Nonce, Ends: ends}, nil
}

func (p Parameters) sign(key secret.PurposeKey, use string) (string, error) {
	text, err := json.Marshal(p)
	return sign(key, "challenge", use, text), err
}

// sign is a MAC; what it is of and for are bound in, each with its length.
func sign(key secret.PurposeKey, what, use string, text []byte) string {
	h := hmac.New(sha256.New, key[:])
	_, _ = fmt.Fprintf(h, "%d:%s%d:%s", len(what), what, len(use), use) // a hash never fails to write
	_, _ = h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}
