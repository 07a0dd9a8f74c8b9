package lockouts

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/config"
)

// ours: no mail gets out, or not the straight way.
var ours = []lockout{
	{Cause: "All mail servers are down for an hour", Run: func(s *scene) {
		s.office.goesDown()
		s.asks()
		s.readsTheWaitingPage()
		s.downFor(3 * time.Minute)
		s.adminReads("No mail of ours has left since TIME; the operator has been told.")
		s.downFor(57 * time.Minute)
		s.office.comesUp()
		s.waits(6 * time.Minute)
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "All mail servers are down, and Jane cannot wait", Run: func(s *scene) {
		s.office.goesDown()
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("Our own mail server does not take mail at the moment; we try again at TIME.")
		s.downFor(3 * time.Minute)
		s.getsInBy(s.adminGivesALinkByPhone("No mail of ours has left since TIME; the operator has been told."))
	}},
	{Cause: "One of two mail servers is down", Config: second, Run: func(s *scene) {
		s.office.goesDown()
		s.asks()
		s.readsTheWaitingPage()
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "The mail server takes the mail and does not answer", Run: func(s *scene) {
		reached, release := make(chan struct{}, 1), make(chan struct{})
		s.office.answers(func(step, to, _ string) error {
			if step == atData && to == jane {
				reached <- struct{}{}
				<-release
			}
			return nil
		})
		s.T.Cleanup(func() { close(release) })
		s.asks()
		s.readsTheWaitingPage()
		<-reached
		s.adminReads("Being sent")
		s.getsInBy(s.adminGivesALink())
	}},
	{Cause: "The mail server hangs up when it has the mail", Run: func(s *scene) {
		var hung atomic.Bool
		s.office.answers(func(step, to, _ string) error {
			if step == atTaken && to == jane && hung.CompareAndSwap(false, true) {
				return errHangUp
			}
			return nil
		})
		s.asks()
		s.readsTheWaitingPage()
		link := s.getsTheMail()
		s.adminReads("The connection broke at TIME, just when the mail was handed over; it may have arrived: let Jane Doe look first.")
		first := s.last.MessageID
		s.waits(11 * time.Minute)
		require.Equal(s.T, link, s.getsTheMail(), "the second copy is the same mail")
		require.Equal(s.T, first, s.last.MessageID, "and mail programs know it by its name")
		s.getsInBy(link)
	}},
	{Cause: "The mail server hangs up in the middle of the mail", Run: func(s *scene) {
		s.Clock.Freeze() // it is tried again within seconds
		var hung atomic.Bool
		s.office.answers(func(step, to, _ string) error {
			if step == atRcpt && to == jane && hung.CompareAndSwap(false, true) {
				return errHangUp
			}
			return nil
		})
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("Our own mail server does not take mail at the moment; we try again at TIME.")
		s.waits(6 * time.Minute)
		s.getsInBy(s.getsTheMail())
	}},
	{Cause: "Our mail server shows the certificate of another", Server: func(t *testing.T) *office {
		return &office{tls: ca.certificate(t, "elsewhere.example")}
	}, Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("Our own mail server does not take mail at the moment; we try again at TIME.")
		s.downFor(3 * time.Minute)
		s.getsInBy(s.adminGivesALinkByPhone("No mail of ours has left since TIME; the operator has been told."))
	}},
	{Cause: "Our mail server offers STARTTLS and breaks it off", Server: func(*testing.T) *office {
		return &office{tls: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return nil, errors.New("no certificate")
		}}}
	}, Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.adminReads("Our own mail server does not take mail at the moment; we try again at TIME.")
		s.downFor(3 * time.Minute)
		s.getsInBy(s.adminGivesALinkByPhone("No mail of ours has left since TIME; the operator has been told."))
	}},
	{Cause: "Our mail server refuses our login", Server: func(t *testing.T) *office {
		return &office{tls: ca.certificate(t, "localhost"), signsIn: true}
	}, Run: func(s *scene) {
		s.mailServerSays(atLogin, 535, "5.7.8", "Username and Password not accepted")
		s.asks()
		s.readsTheWaitingPage()
		s.getsInBy(s.adminGivesALinkByPhone("Our mail service is not set up correctly; the operator has been told."))
	}},
	{Cause: "No mail server is set up", Config: func(_ *scene, c *config.Config) { c.SMTP = "" }, Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsInBy(s.adminGivesALinkByPhone("No mail server is set up, so no mail can be sent."))
	}},
}

// jane is who is locked out where nobody else is named.
const jane = "jane@acme.example"

// second adds a mail server behind the first.
func second(s *scene, c *config.Config) {
	s.second = (&office{inbox: s.office.inbox}).open(s.starts)
	c.SMTP += "," + s.second.url()
}

// downFor lets time pass in steps short enough for each retry to meet the outage.
func (s *scene) downFor(d time.Duration) {
	s.T.Helper()
	const step = time.Minute
	for ; d > 0; d -= step {
		s.waits(step)
	}
}
