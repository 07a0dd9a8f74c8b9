package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"

	"github.com/google/uuid"
)

// A return path is where mail that could not be delivered comes back to: an
// address of its own for each message (VERP), with a proof that we made it. What
// comes to any other address says nothing about a mail of ours.

// returnMark begins the local part: an address to be told from all others.
const returnMark = "r-"

// returnSize is key id, message id and MAC; 33 bytes are 53 characters, so the
// local part stays below the 64 octets of RFC 5321 section 4.5.3.1.1.
const returnSize = 1 + len(uuid.UUID{}) + macSize

// ReturnPath is a return path taken apart; worth nothing before Genuine.
type ReturnPath struct {
	KeyID   uint8
	Message string
	mac     [macSize]byte
}

// SignReturnPath makes the local part for a message, whose id is a UUID; "" if
// it is none. It is in lower case, since some servers make it so.
func SignReturnPath(key PurposeKey, keyID uint8, message string) string {
	id, err := uuid.Parse(message)
	if err != nil {
		return ""
	}
	mac := returnMAC(key, keyID, id)
	raw := make([]byte, 0, returnSize)
	raw = append(raw, keyID)
	raw = append(raw, id[:]...)
	raw = append(raw, mac[:]...)
	return returnMark + strings.ToLower(crockford.EncodeToString(raw))
}

// ParseReturnPath reads a local part in any case; false if it is not one of ours
// by its form.
func ParseReturnPath(local string) (ReturnPath, bool) {
	if len(local) != len(returnMark)+crockford.EncodedLen(returnSize) {
		return ReturnPath{}, false
	}
	rest, ok := strings.CutPrefix(strings.ToLower(local), returnMark)
	rest = strings.ToUpper(rest)
	raw, err := crockford.DecodeString(rest)
	if !ok || err != nil || crockford.EncodeToString(raw) != rest { // the last character has a bit to spare
		return ReturnPath{}, false
	}
	return ReturnPath{
		KeyID:   raw[0],
		Message: uuid.UUID(raw[1 : 1+len(uuid.UUID{})]).String(),
		mac:     [macSize]byte(raw[returnSize-macSize:]),
	}, true
}

// Genuine tells whether the return path was made with this key.
func (p ReturnPath) Genuine(key PurposeKey) bool {
	id, err := uuid.Parse(p.Message)
	want := returnMAC(key, p.KeyID, id)
	return err == nil && hmac.Equal(want[:], p.mac[:])
}

// returnMAC needs no environment: the message's id leads to the only one it is in.
func returnMAC(key PurposeKey, keyID uint8, message uuid.UUID) [macSize]byte {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte{keyID})
	h.Write(message[:])
	return [macSize]byte(h.Sum(nil)[:macSize])
}
