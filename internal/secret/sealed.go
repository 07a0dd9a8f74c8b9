package secret

import (
	"encoding/base64"
	"errors"
)

// SealBytes is Seal for what is no key of the ring.
func (k Key) SealBytes(plain []byte, context string) string {
	return base64.RawURLEncoding.EncodeToString(k.aead().Seal(nil, nil, plain, []byte(context)))
}

// UnsealBytes opens what SealBytes made.
func (k Key) UnsealBytes(sealed, context string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("what was sealed is malformed")
	}
	plain, err := k.aead().Open(nil, nil, raw, []byte(context))
	if err != nil {
		return nil, errors.New("what was sealed does not open with this master key")
	}
	return plain, nil
}
