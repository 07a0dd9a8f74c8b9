package dsn

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open reads a mail of our own making from testdata/returned. index.tsv there says
// what each of them is; package diagnosis tests its classes by the same table.
func open(t *testing.T, name string) Returned {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "returned", name))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	r, err := Read(f)
	require.NoError(t, err)
	return r
}

func TestKindAndRecipientsOfEveryForm(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/returned/index.tsv")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	table := csv.NewReader(f)
	table.Comma = '\t'
	rows, err := table.ReadAll()
	require.NoError(t, err)
	mails, err := filepath.Glob("testdata/returned/*.eml")
	require.NoError(t, err)
	require.Len(t, rows[1:], len(mails), "every mail stands in the table")
	for _, row := range rows[1:] {
		name, kind, recipients := row[0], row[1], row[4]
		t.Run(strings.TrimSuffix(name, ".eml"), func(t *testing.T) {
			t.Parallel()
			r := open(t, name)
			assert.Equal(t, kind, string(r.Kind))
			var who []string
			for _, rc := range r.Recipients {
				who = append(who, rc.Address)
				assert.NotEmpty(t, rc.Action)
			}
			assert.Equal(t, recipients, strings.Join(who, ";"))
			assert.NotEmpty(t, r.To, "whose it is, the address it was sent to says")
		})
	}
}

func TestEachRecipientHasItsOwnFate(t *testing.T) {
	t.Parallel()
	r := open(t, "postfix-three-fates.eml")
	require.Len(t, r.Recipients, 3)
	lena, omar, piet := r.Recipients[0], r.Recipients[1], r.Recipients[2]
	assert.Equal(t, []string{Delayed, Failed, Relayed}, []string{lena.Action, omar.Action, piet.Action})
	assert.Equal(t, []string{"4.2.2", "5.2.1", "2.0.0"}, []string{lena.Status, omar.Status, piet.Status})
	assert.Contains(t, lena.Text, "over quota")
	assert.NotContains(t, lena.Text, "disabled")
	assert.Contains(t, omar.Text, "disabled")
	assert.NotContains(t, omar.Text, "quota")
	assert.Equal(t, "relay.keys.example", r.Reporter)
}

func TestWhatAReportTells(t *testing.T) {
	t.Parallel()
	r := open(t, "postfix-unknown.eml")
	assert.Equal(t, []string{"b-4q8zt1@bounce.keys.example"}, r.To)
	assert.Equal(t, "<>", r.ReturnPath)
	assert.Equal(t, "auto-replied", r.AutoSubmitted)
	assert.Equal(t, Original{
		MessageID: "r1.7d20@keys.example", ReturnPath: "b-4q8zt1@bounce.keys.example",
		From: "Harbour login <no-reply@keys.example>", To: []string{"lena@harbour.example"},
	}, r.Original)
	require.Len(t, r.Recipients, 1)
	rc := r.Recipients[0]
	assert.Equal(t, "550 5.1.1 <lena@harbour.example>: Recipient address rejected: User unknown in virtual mailbox table", rc.Diagnostic)
	assert.Equal(t, "smtp", rc.DiagnosticType)
	assert.Equal(t, "mx.harbour.example", rc.RemoteMTA)
}

func TestTheReturnedMailSaysNothingAboutItsFate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"exim-full-local.eml", "qmail-two.eml", "google-old-text.eml", "imail.eml", "sendmail-old-transcript.eml"} {
		r := open(t, name)
		assert.NotContains(t, r.Text, "Open this link", name)
		assert.Equal(t, "r1.7d20@keys.example", r.Original.MessageID, name)
	}
}

func TestOddCharsetsAreReadAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]string{
		"carrier-japan.eml":          "エラーのため送信できませんでした",
		"euc-under-another-name.eml": "容量が一杯のため",
		"chinese-gbk.eml":            "不存在",
		"russian-koi8.eml":           "почтовый ящик переполнен",
		"exchange-2007-german.eml":   "Fehler bei der Übermittlung",
	} {
		assert.Contains(t, open(t, name).Text, words, name)
	}
	r := open(t, "domino-french.eml")
	assert.Equal(t, "Utilisateur inconnu : lena n'est pas listé dans l'annuaire", r.Recipients[0].Diagnostic)
	assert.Equal(t, "jürgen@kü.example", open(t, "internationalized.eml").Recipients[0].Original)
}

func TestDiagnosticsInUnusualForms(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "4.4.7", open(t, "ses-expired.eml").Recipients[0].Status, "a comment behind it")
	assert.Equal(t, Done, open(t, "sendmail-success.eml").Recipients[0].Action, "a comment behind it")
	assert.Equal(t, Failed, open(t, "opensmtpd-last-word.eml").Recipients[0].Action, "it says delayed, and means the end")
	unix := open(t, "sendmail-exit-status.eml").Recipients[0]
	assert.Equal(t, "x-unix 67", unix.DiagnosticType+" "+unix.Diagnostic)
	assert.Equal(t, "I take mail from people I know only.", open(t, "sieve-reject.eml").Recipients[0].Diagnostic)
	assert.Equal(t, "auth-failure", open(t, "arf-auth-failure.eml").FeedbackType)
}

func TestWhatIsNoMailIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "550 5.1.1 no such user", "\x00\x01\x02", "   indented\n\n"} {
		_, err := Read(strings.NewReader(text))
		require.ErrorIs(t, err, ErrNoMail, "%q", text)
	}
}

// A person wrote: nothing answered by itself, and nothing was returned.
func TestAnAnswerByHandIsNoReport(t *testing.T) {
	t.Parallel()
	words := "\nThank you, it works now.\n\nLena\n"
	for _, head := range []string{"", "Return-Path: <lena@harbour.example>\n", "In-Reply-To: <r1.7d20@keys.example>\nUser-Agent: Mozilla Thunderbird\n"} {
		head += "From: Lena <lena@harbour.example>\nTo: b@keys.example\nSubject: Re: Your password reset link\n"
		r, err := Read(strings.NewReader(head + words))
		require.NoError(t, err)
		assert.Equal(t, None, r.Kind, head)
		for _, mark := range []string{"Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "Return-Path: <>\n", "X-Autoreply: yes\n"} {
			r, err = Read(strings.NewReader(mark + head + words))
			require.NoError(t, err)
			assert.Equal(t, AutoReply, r.Kind, mark+head)
		}
	}
}

// Phrases stand in the tables without marks, and mails with them, also on letters
// that are no plain letter with a mark.
func TestPhrasesFitHoweverTheirLettersAreWritten(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]Kind{
		"Wiadomość nie mogła zostać dostarczona":    Bounce,
		"Otomatik yanıt: Şifre":                     AutoReply,
		"Fraværende: nøkkel":                        AutoReply,
		"Ｕｎｄｅｌｉｖｅｒａｂｌｅ mail":                        Bounce,
		"Auto\u2011Reply: your password reset link": AutoReply,
	} {
		from := "Lena <lena@harbour.example>"
		if want == Bounce {
			from = "<mailer-daemon@harbour.example>"
		}
		r, err := Read(strings.NewReader("Return-Path: <>\nFrom: " + from + "\nTo: b@keys.example\nContent-Type: text/plain; charset=utf-8\nSubject: " + subject + "\n\n" + subject + "\n"))
		require.NoError(t, err)
		assert.Equal(t, want, r.Kind, subject)
	}
}

// An automatic answer must never pass for a bounce, whatever it says and however
// it is marked.
func TestNoAnswerOfAPersonsProgramIsABounce(t *testing.T) {
	t.Parallel()
	words := []string{"550 5.1.1 User unknown", "This user does not exist here any more.", "Delivery to the following recipient failed permanently", "Undeliverable: mailbox full", "<lena@harbour.example>: 550 5.2.1 disabled", "unzustellbar"}
	subjects := []string{"Re: Your password reset link", "Out of office", "Automatic reply: undeliverable mail", "Abwesend: nicht zugestellt", "I left the company"}
	marks := []string{"", "Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "X-Auto-Response-Suppress: All\n", "In-Reply-To: <r1.7d20@keys.example>\n"}
	paths := []string{"", "Return-Path: <>\n", "Return-Path: <lena@harbour.example>\n"}
	for _, subject := range subjects {
		for _, mark := range marks {
			for _, path := range paths {
				text := path + "From: Lena <lena@harbour.example>\nTo: b@keys.example\nSubject: " + subject + "\n" + mark + "\n" + strings.Join(words, "\n") + "\n"
				r, err := Read(strings.NewReader(text))
				require.NoError(t, err)
				assert.Contains(t, []Kind{AutoReply, None}, r.Kind, text)
			}
		}
	}
}
