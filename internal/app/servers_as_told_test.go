package app_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/testkit"
	"github.com/sparekey/sparekey/internal/usermanager"
)

// aCommand opens the world's database beside the running server, as the command
// line does.
func aCommand(w *testkit.World, options ...func(*config.Config)) *app.Core {
	w.T.Helper()
	conf := w.Config
	for _, o := range options {
		o(&conf)
	}
	core, err := app.Open(w.Ctx(), conf, testkit.Options(w.Clock))
	require.NoError(w.T, err)
	w.T.Cleanup(func() { require.NoError(w.T, core.Close()) })
	return core
}

// classOf gives how Jane's mail stands. No sentence blames her domain.
func classOf(w *testkit.World, m *usermanager.UserManager) string {
	w.T.Helper()
	shown := shownOf(w, m)
	if shown.Mail.Class == nil {
		return ""
	}
	require.NotContains(w.T, *shown.Mail.Sentence, "acme.example")
	return *shown.Mail.Class
}

// TestACommandKnowsThatThereIsNoMailServer by the alarm of the running server, whatever
// its own configuration says, and takes what the server wrote down itself for nobody's
// answer.
func TestACommandKnowsThatThereIsNoMailServer(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.Browser().Get("/acme/forgot-password").Fill("Email", w.Jane.Email).Press("Send password reset link")
		command, other := aCommand(w), aCommand(w, func(c *config.Config) { c.SMTP = "smtp://127.0.0.1:1?tls=none" })
		require.Eventually(t, func() bool {
			messages := shownOf(w, w.App.UserManager).Messages
			return len(messages) == 1 && messages[0].State == "deferred"
		}, 20*time.Second, 20*time.Millisecond)
		alarmsOf(w)
		for _, m := range []*usermanager.UserManager{w.App.UserManager, command.UserManager, other.UserManager} {
			require.Equal(t, "no-mail-server", classOf(w, m))
		}
	}, func(c *config.Config) { c.SMTP = "" })
}

// TestACommandWithoutMailServersSaysNothingOfTheServers of a running server that has
// some: of a mail that none of them has answered it says what the pages say.
func TestACommandWithoutMailServersSaysNothingOfTheServers(t *testing.T) {
	t.Parallel()
	var silent sync.Map // servers that take a connection and say nothing, by their setting
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		command := aCommand(w, func(c *config.Config) { c.SMTP = "" })
		alarmsOf(w)
		server, _ := silent.Load(w.Config.SMTP)
		w.Browser().Get("/acme/forgot-password").Fill("Email", w.Jane.Email).Press("Send password reset link")
		sending, err := server.(*net.TCPListener).Accept()
		require.NoError(t, err)
		// A server is asked before the mail's promise is committed.
		require.Eventually(t, func() bool { return classOf(w, w.App.UserManager) == "queued" }, 20*time.Second, 5*time.Millisecond)
		require.Equal(t, "queued", classOf(w, command.UserManager))
		require.Equal(t, *shownOf(w, w.App.UserManager).Mail.Sentence, *shownOf(w, command.UserManager).Mail.Sentence)
		require.NoError(t, server.(*net.TCPListener).Close())
		require.NoError(t, sending.Close())
	}, func(c *config.Config) {
		server, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		require.NoError(t, server.SetDeadline(time.Now().Add(20*time.Second)))
		c.SMTP = "smtp://" + server.Addr().String() + "?tls=none"
		silent.Store(c.SMTP, server)
	})
}

// TestACommandKnowsThatNoMailLeaves by the alarm of the running server, as long
// as that keeps it up.
func TestACommandKnowsThatNoMailLeaves(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		command := aCommand(w)
		w.Browser().Get("/acme/forgot-password").Fill("Email", w.Jane.Email).Press("Send password reset link")
		require.Eventually(t, func() bool {
			w.Clock.Advance(30 * time.Second) // so that what was put off is due
			alarmsOf(w)
			return classOf(w, w.App.UserManager) == "all-servers-down"
		}, 20*time.Second, 50*time.Millisecond)
		alarmsOf(w)
		require.Equal(t, "all-servers-down", classOf(w, command.UserManager))
		page, told := shownOf(w, w.App.UserManager).Mail, shownOf(w, command.UserManager).Mail
		require.WithinDuration(t, *page.Since, *told.Since, time.Millisecond)
		require.Equal(t, *page.Sentence, *told.Sentence)
	}, func(c *config.Config) { c.SMTP = "smtp://127.0.0.1:1?tls=none,smtp://127.0.0.1:2?tls=none" })
}

func shownOf(w *testkit.World, m *usermanager.UserManager) usermanager.Shown {
	w.T.Helper()
	shown, err := m.Show(w.Ctx(), access.Operator(), w.Acme, w.Jane.Email)
	require.NoError(w.T, err)
	return shown
}
