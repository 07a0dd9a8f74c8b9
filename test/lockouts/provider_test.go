package lockouts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
)

// What the providers prove themselves with.
const (
	postmarkToken = "postmark's token"
	mailgunKey    = "mailgun's signing key"
)

var sendGrid = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// sendGridKey is the public key as SendGrid shows it.
func sendGridKey() string {
	der, err := x509.MarshalPKIXPublicKey(&sendGrid().PublicKey)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// tells posts an event as a mail provider does: from elsewhere, without cookies.
func (s *scene) tells(provider, body string, header ...string) {
	s.T.Helper()
	s.quiet() // the mail left before the provider speaks of it
	r, err := http.NewRequestWithContext(s.Ctx(), http.MethodPost, s.URL+"/mail-events/"+provider, strings.NewReader(body))
	require.NoError(s.T, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(s.T, err)
	require.NoError(s.T, res.Body.Close())
	require.Equal(s.T, http.StatusOK, res.StatusCode)
}

func (s *scene) postmarkTells(event string) {
	s.T.Helper()
	s.tells("postmark", event, "X-Postmark-Token", postmarkToken)
}

func (s *scene) sendGridTells(events string) {
	s.T.Helper()
	stamp := strconv.FormatInt(s.Clock.Now().Unix(), 10)
	sum := sha256.Sum256([]byte(stamp + events))
	signature, err := ecdsa.SignASN1(rand.Reader, sendGrid(), sum[:])
	require.NoError(s.T, err)
	s.tells("sendgrid", events, "X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature), "X-Twilio-Email-Event-Webhook-Timestamp", stamp)
}

func (s *scene) mailgunTells(event string) {
	s.T.Helper()
	stamp, token := strconv.FormatInt(s.Clock.Now().Unix(), 10), "one token"
	h := hmac.New(sha256.New, []byte(mailgunKey))
	h.Write([]byte(stamp + token))
	s.tells("mailgun", fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`, stamp, token, hex.EncodeToString(h.Sum(nil)), event))
}
