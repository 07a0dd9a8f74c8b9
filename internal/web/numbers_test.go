package web_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/numbers"
	"github.com/sparekey/sparekey/internal/testkit"
)

func init() {
	theWalk["GET /{environment}/numbers"] = []step{{want: answers{toLogin, 403, 403, 200}}}
}

// measure gives the numbers as a Client Admin gets them, counted anew.
func measure(w *testkit.World, days int) numbers.Report {
	w.T.Helper()
	w.Clock.Advance(2 * time.Minute) // older counts are not shown
	r, err := w.App.Numbers.Show(w.Ctx(), clientAdmin(w), w.Acme, days)
	require.NoError(w.T, err)
	return r
}

func funnel(r numbers.Report) map[numbers.Step]int {
	all := map[numbers.Step]int{}
	for _, s := range r.Funnel {
		all[s.What] = s.N
	}
	return all
}

func TestNumbersTellHowRecoveryGoes(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		empty := measure(w, 30)
		require.Zero(t, empty.Funnel[0].N)
		require.Len(t, empty.ByDay, 30)
		for email, name := range map[string]string{"alone@acme.example": "Al", "helped@acme.example": "Hel", "refused@acme.example": "Ref", "lost@acme.example": "Lou", "opened@acme.example": "Ope"} {
			w.AddUser(w.Acme, email, name, access.Member)
		}
		ask := func(email string) string {
			w.Browser().Get("/acme/forgot-password").Fill("Email", email).Press("Send password reset link")
			return w.Mail(email, "Reset your password").LinkTo("/reset-password/")
		}
		set := func(link string) {
			w.Browser().Get(link).Fill("New password", newPassphrase).Press("Set new password")
		}

		link := ask("alone@acme.example")
		w.Clock.Advance(4 * time.Minute)
		set(link)
		w.Clock.Advance(time.Minute)
		w.Browser().SignIn("alone@acme.example", newPassphrase)
		w.Clock.Advance(time.Minute)
		w.Browser().SignIn("alone@acme.example", newPassphrase) // a second sign-in changes nothing

		ask("helped@acme.example")
		admin := w.Browser()
		admin.SignIn("admin@acme.example", testkit.Passphrase)
		given := admin.Get("/acme/users?q=helped").Choose("Action for Hel", "Reset Password").PressBeside("Action for Hel", "Go")
		set(given.Value("Reset Password Link"))

		form := w.Browser().Get(ask("refused@acme.example"))
		form.Fill("New password", "short").Press("Set new password")
		w.Browser().Get(ask("opened@acme.example"))
		ask("lost@acme.example")
		askAndResolve(w, "nobody-here@acme.example")
		idle(w)

		soon := measure(w, 7)
		require.Equal(t, 3, soon.UnderWay, "who asked within the last hour is not given up yet")
		require.Empty(t, soon.Reasons)
		require.Equal(t, 3, soon.ByDay[6].UnderWay+soon.ByDay[5].UnderWay, "nor on the day itself")
		early := admin.Get("/acme/numbers?days=7")
		require.Contains(t, early.Body, `class="fill-under-way" x=`, "the chart shows them apart")
		require.NotRegexp(t, `class="fill-not-back" x="\d*1" y`, early.Body[strings.Index(early.Body, `class="days"`):])
		w.Clock.Advance(2 * time.Hour)
		r := measure(w, 7)
		require.Equal(t, map[numbers.Step]int{
			numbers.Asked: 5, numbers.Reached: 5, numbers.Opened: 4, numbers.Sent: 3, numbers.Used: 2, numbers.SignedIn: 1,
		}, funnel(r))
		require.Equal(t, 1, r.Alone)
		require.Equal(t, 1, r.Helped)
		require.Equal(t, 3, r.NotBack)
		require.Zero(t, r.UnderWay)
		require.Equal(t, 1, r.Nobody)
		require.InDelta(t, (5 * time.Minute).Seconds(), r.Median.Seconds(), 40)
		require.ElementsMatch(t, []numbers.Count[diagnosis.Class]{
			{What: diagnosis.NotOpened, N: 1}, {What: diagnosis.Opened, N: 1}, {What: diagnosis.FormRefused, N: 1},
		}, r.Reasons)

		page := admin.Get("/acme/numbers?days=7")
		require.Equal(t, 200, page.Status)
		require.Contains(t, page.Text(), "tries led back in without an administrator 1 of 5", "five are too few for percent")
		require.Regexp(t, `from asking to logged in, in 1 try [56] min`, page.Text())
		require.NotContains(t, page.Text(), "nine of ten")
		require.Contains(t, page.Text(), "The mail was taken; nobody opened the link 1 of 3")
		require.NotContains(t, page.Text(), "%")
		require.Regexp(t, `class="fill-not-back" x="\d*1" y`, page.Body[strings.Index(page.Body, `class="days"`):], "the hour is over")
		for _, none := range []string{"8", "-7", "x"} {
			other := admin.Get("/acme/numbers?days=" + none)
			require.Equal(t, 200, other.Status, none)
			require.Regexp(t, `aria-current="\w+"[^>]*>30 days`, other.Body)
		}
	})
}

// TestNumbersOutliveTheirRows: a counted day stays when its tokens are forgotten,
// and counting again changes nothing.
func TestNumbersOutliveTheirRows(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		w.Browser().Get("/acme/forgot-password").Fill("Email", "jane@acme.example").Press("Send password reset link")
		w.Browser().Get(w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")).Fill("New password", newPassphrase).Press("Set new password")
		idle(w)
		for range 3 {
			require.NoError(t, w.App.Tidy(w.Ctx()))
		}
		require.Equal(t, 1, measure(w, 7).Alone)
		for range 5 {
			w.Clock.Advance(24 * time.Hour)
			require.NoError(t, w.App.Tidy(w.Ctx()))
		}
		require.Equal(t, 1, measure(w, 7).Alone)
		r := measure(w, 30)
		require.Equal(t, 1, r.Alone)
		counted := 0
		for _, d := range r.ByDay {
			counted += d.Asked
		}
		require.Equal(t, 1, counted)
		w.Clock.Advance(40 * 24 * time.Hour)
		require.NoError(t, w.App.Tidy(w.Ctx()))
		require.Zero(t, measure(w, 30).Alone)
		require.Equal(t, 1, measure(w, 90).Alone, "the rows it was counted from are long gone")
	})
}

func TestNumbersStayInTheirEnvironment(t *testing.T) {
	t.Parallel()
	w := testkit.New(t, testkit.Database(t, "sqlite"))
	globex, err := w.App.Settings.Create(w.Ctx(), access.Operator(), "globex", "Globex")
	require.NoError(t, err)
	w.Browser().Get("/acme/forgot-password").Fill("Email", "jane@acme.example").Press("Send password reset link")
	idle(w)
	require.Equal(t, 1, measure(w, 7).Funnel[0].N)
	r, err := w.App.Numbers.Show(w.Ctx(), access.Operator(), globex, 7)
	require.NoError(t, err)
	require.Zero(t, r.Funnel[0].N)
	_, err = w.App.Numbers.Show(w.Ctx(), clientAdmin(w), globex, 7)
	require.Error(t, err)
	_, err = w.App.Numbers.Show(w.Ctx(), access.Actor{Environment: w.Acme.ID, User: w.Help.ID, Role: access.Helpdesk}, w.Acme, 7)
	require.Error(t, err)
}

// TestWhatIsMeasuredIsTrue: metrics hear of an event when it has been committed,
// and of the first sign-in after a reset how long the way back was.
func TestWhatIsMeasuredIsTrue(t *testing.T) {
	t.Parallel()
	testkit.EachDB(t, func(t *testing.T, w *testkit.World) {
		var mu sync.Mutex
		heard := map[audit.Kind][]string{}
		audit.Observe(w.App.DB, func(e audit.Event) {
			mu.Lock()
			defer mu.Unlock()
			heard[e.Kind] = append(heard[e.Kind], e.Detail[audit.SinceAsked])
		})
		w.Clock.Freeze()
		w.Browser().SignIn("jane@acme.example", testkit.Passphrase)
		w.Browser().Get("/acme/forgot-password").Fill("Email", "jane@acme.example").Press("Send password reset link")
		link := w.Mail("jane@acme.example", "Reset your password").LinkTo("/reset-password/")
		idle(w)
		w.Clock.Advance(4 * time.Minute)
		w.Browser().Get(link).Fill("New password", newPassphrase).Press("Set new password")
		w.Clock.Advance(time.Minute)
		w.Browser().SignIn("jane@acme.example", newPassphrase)
		w.Clock.Advance(time.Minute)
		w.Browser().SignIn("jane@acme.example", newPassphrase)
		failed := errors.New("no")
		require.ErrorIs(t, w.App.DB.Update(w.Ctx(), func(tx *db.Tx) error {
			return errors.Join(audit.Record(tx, w.Acme.ID, audit.Event{Kind: audit.UserRenamed}), failed)
		}), failed)

		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []string{"240"}, heard[audit.PasswordReset])
		require.Equal(t, []string{"", "300", ""}, heard[audit.SignedIn])
		require.Len(t, heard[audit.Asked], 1)
		require.Empty(t, heard[audit.UserRenamed], "what was undone is not counted")
	})
}
