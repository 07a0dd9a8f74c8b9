package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
)

// Seal encrypts a key of the ring under the master key; context is bound in.
func (k Key) Seal(plain Key, context string) string { return k.SealBytes(plain[:], context) }

// Unseal opens what Seal made.
func (k Key) Unseal(sealed, context string) (Key, error) {
	plain, err := k.UnsealBytes(sealed, context)
	if err == nil && len(plain) != len(Key{}) {
		err = errors.New("what was sealed is no key")
	}
	if err != nil {
		return Key{}, err
	}
	return Key(plain), nil
}

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

func (k Key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k.expand("sparekey seal"))
	if err != nil {
		panic(err) // 32 bytes are a valid key size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block size that GCM wants
	}
	return aead
}
