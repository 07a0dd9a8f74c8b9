// Package secret makes and checks what must not be guessed: link texts, codes,
// session tokens, signed cookies and sealed keys.
//
// It is pure: no database, no files, no clock. What it returns as "text" is a
// secret and belongs in no log; what it returns as "hash" may be stored.
package secret

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Key is 256 bits from the random source: the master key, or one of the ring.
type Key [32]byte

// String keeps a key out of logs and errors.
func (Key) String() string { return "[key]" }

// GoString keeps a key out of %#v.
func (Key) GoString() string { return "[key]" }

// NewKey makes a random key.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails: crypto/rand ends the program instead
	return k
}

// Purpose separates the uses of one key.
type Purpose string

// The purposes. Links of one purpose never pass for another.
const (
	Reset    Purpose = "reset"
	CodeOf   Purpose = "code"
	Invite   Purpose = "invite"
	NotMe    Purpose = "not-me"
	Confirm  Purpose = "confirm"
	Returned Purpose = "return-path" // where mail that could not be delivered comes back to
	Browser  Purpose = "browser"     // cookies that recognise a browser
	Decoy    Purpose = "decoy"       // which hash an unknown address costs
)

// PurposeKey is a key derived for one purpose.
type PurposeKey [32]byte

// String keeps the key out of logs and errors.
func (PurposeKey) String() string { return "[key]" }

// Derive gives the key of one purpose (HKDF, RFC 5869).
func (k Key) Derive(p Purpose) PurposeKey {
	return PurposeKey(k.expand("sparekey purpose " + string(p)))
}

// Fingerprint recognises a master key without giving anything away.
func (k Key) Fingerprint() string { return hex.EncodeToString(k.expand("sparekey fingerprint")[:16]) }

func (k Key) expand(info string) []byte {
	out, err := hkdf.Key(sha256.New, k[:], nil, info, 32)
	if err != nil {
		panic(fmt.Sprintf("hkdf of 32 bytes: %v", err)) // only for absurd lengths
	}
	return out
}

const keyFileMark = "sparekey-master-key-1 "

// KeyFile is the text of the file that holds a master key.
func (k Key) KeyFile() string {
	return keyFileMark + base64.RawURLEncoding.EncodeToString(k[:]) + "\n"
}

// ParseKeyFile reads the text of a key file.
func ParseKeyFile(text string) (Key, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), keyFileMark)
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) != len(Key{}) {
		return Key{}, errors.New("not a key file")
	}
	return Key(raw), nil
}

// NewToken makes an opaque 256-bit token, for a session or a browser.
func NewToken() string {
	k := NewKey()
	return base64.RawURLEncoding.EncodeToString(k[:])
}

// Hash is the form of a token in the database. The token has 256 random bits,
// so a fast hash is enough.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Sign gives a MAC over the parts, each with its length before it so that no
// two lists are the same bytes.
func Sign(key PurposeKey, parts ...string) string {
	h := hmac.New(sha256.New, key[:])
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p) // a hash never fails to write
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// Signed tells whether mac is what Sign gave for these parts.
func Signed(key PurposeKey, mac string, parts ...string) bool {
	return hmac.Equal([]byte(mac), []byte(Sign(key, parts...)))
}
