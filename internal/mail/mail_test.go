package mail_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	message "github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/mail"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	resetLink = "https://login.example.com/acme/reset-password/0V3G7T4K8Q2ZC9M5N1B6HX0R4D7W8Y3F5J2K9P1A"
	queueLink = "https://login.example.com/acme/needs-help"
	notMeLink = "https://login.example.com/acme/not-me/1W4H8V5M9R3ADXN6P2C7JY1S5E8X9Z4G6K3M0Q2B"
)

// full has every field set.
func full() mail.Data {
	now := time.Date(2026, time.March, 3, 13, 40, 0, 0, time.UTC)
	return mail.Data{
		Environment: "Acme",
		From:        mail.Party{Name: "Acme", Address: "no-reply@login.example.com"},
		To:          mail.Party{Name: "Jane Doe", Address: "jane@acme.example"},
		ReplyTo:     "help@acme.example",
		MessageID:   "0192f0c1-7c3a-7d20-9a3e-0123456789ab@login.example.com",
		Date:        now,
		UserName:    "Jane Doe",
		Link:        resetLink, Code: "04711815", Until: now.Add(24 * time.Hour),
		NotMe: notMeLink, NotMeUntil: now.Add(72 * time.Hour),
		By:     "Maria Rossi",
		Device: "Firefox on Windows", Network: "203.0.113.7", At: now.Add(-2 * time.Minute),
		SessionsEnded: 3,
		OldAddress:    "jane@acme.example", NewAddress: "jane.doe@acme.example",
		Queue: queueLink, MoreStuck: 3,
		Stuck: []mail.Stuck{{Name: "Max Muster", Why: "Max Muster’s mailbox is full. It must be cleared before mail can arrive."}},
	}
}

// bare has only what the kind cannot do without.
func bare(k mail.Kind) mail.Data {
	d := full()
	d.From.Name, d.To.Name, d.ReplyTo, d.UserName = "", "", "", ""
	d.MoreStuck = 0
	d.Code, d.By, d.Device, d.Network, d.SessionsEnded = "", "", "", "", 0
	switch k {
	case mail.Reset, mail.ResetByAdmin, mail.ResetAfterNotMe, mail.Invitation, mail.AddressConfirm:
		d.NotMe, d.NotMeUntil = "", time.Time{}
	default:
		d.Link, d.Until = "", time.Time{}
	}
	return d
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, k := range mail.Kinds {
		for name, d := range map[string]mail.Data{string(k): full(), string(k) + "-bare": bare(k)} {
			m := open(t, render(t, k, d))
			golden(t, name+".txt", "Subject: "+m.subject+"\n\n"+m.text)
			golden(t, name+".html", m.html)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (run with -update if it is meant):\n%s", name, diff)
	}
}

func TestHeaderIsExactlyWhatWeMean(t *testing.T) {
	t.Parallel()
	for _, k := range mail.Kinds {
		m := open(t, render(t, k, full()))
		require.Equal(t, map[string]string{
			"Auto-Submitted":           "auto-generated",
			"X-Auto-Response-Suppress": "All",
			"Date":                     "Tue, 03 Mar 2026 13:40:00 +0000",
			"From":                     `"Acme" <no-reply@login.example.com>`,
			"To":                       `"Jane Doe" <jane@acme.example>`,
			"Reply-To":                 "<help@acme.example>",
			"Message-Id":               "<0192f0c1-7c3a-7d20-9a3e-0123456789ab@login.example.com>",
			"Mime-Version":             "1.0",
			"Subject":                  mail.Subject(k, "Acme"),
			"Content-Type":             "multipart/alternative",
		}, m.header, k)
		require.Equal(t, []string{"text/plain", "text/html"}, m.kinds, "text comes first")
	}
}

// The link must survive mail programs that show the source, and people who copy lines.
func TestLinkAndCodeStandAloneOnTheirLine(t *testing.T) {
	t.Parallel()
	for _, d := range []mail.Data{full(), func() mail.Data { d := full(); d.Environment = "Żółw & Söhne"; return d }()} {
		for _, k := range []mail.Kind{mail.Reset, mail.ResetByAdmin, mail.ResetAfterNotMe} {
			raw := render(t, k, d)
			lines := strings.Split(open(t, raw).text, "\n")
			for _, alone := range []string{resetLink, notMeLink, "04711815"} {
				require.Equal(t, 1, count(lines, alone), "%s: %s", k, alone)
				require.Equal(t, 1, bytes.Count(raw, []byte("\r\n"+alone+"\r\n")), "in the source too: %s", alone)
			}
		}
	}
}

func count(lines []string, line string) int {
	n := 0
	for _, l := range lines {
		if l == line {
			n++
		}
	}
	return n
}

var (
	anyLink  = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"'<>]+`)
	external = regexp.MustCompile(`(?i)<(img|script|iframe|object|embed|link|video|audio|form|input)\b|\bsrc=|url\(|@import|background=`)
)

func TestNoLinkButTheNamedOnesAndNothingLoaded(t *testing.T) {
	t.Parallel()
	for _, k := range mail.Kinds {
		m := open(t, render(t, k, full()))
		for part, text := range map[string]string{"text": m.text, "html": m.html} {
			for _, found := range anyLink.FindAllString(text, -1) {
				require.Contains(t, []string{resetLink, notMeLink, queueLink}, found, "%s %s", k, part)
			}
		}
		require.False(t, external.MatchString(m.html), "%s loads something: %s", k, external.FindString(m.html))
	}
}

// The notices must never carry the link that the administrator holds.
func TestNoticesCarryNoResetLinkOrCode(t *testing.T) {
	t.Parallel()
	for _, k := range []mail.Kind{mail.AdminLink, mail.PasswordChanged, mail.AddressChanged, mail.NewSignIn} {
		raw := string(render(t, k, full()))
		require.NotContains(t, raw, resetLink, k)
		require.NotContains(t, raw, "04711815", k)
	}
}

func TestNamesCannotAddAnything(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"x\r\nBcc: e@y.test\r\n\r\nhttp://evil.test/",
		"x\nBcc: e@y.test", "x\rBcc: e@y.test", "x\x00\u2028Bcc: e@y.test\u0085", "x\v\fBcc: e@y.test",
		`<a href=//evil.test>Click</a>`, `]( http://evil.test )`, "Reset at evil.test now", "www.evil.test/x", "//evil.test/x",
		"HTTPS://EVIL.TEST", "evil.test/@x", "javascript://%0aalert(1)", "evil。test", "EVIL.xn--p1ai",
		strings.Repeat("x", 2000), strings.Repeat("ü ", 2000), "\u202egnp.exe", "a\u200bb\ufeff",
		"=?utf-8?q?=0D=0ABcc:_e@y.test?=", `Jane "The Boss" Doe\`, "Ünal, Çağrı; <x@y.test>", "\xff\xfe", "{{.Code}} {{template \"x\"}} <%= 1 %>",
		"\r\n.\r\nMAIL FROM:<e@y.test>", "--\r\n--boundary--",
	} {
		d := full()
		d.UserName, d.By, d.Device, d.Network, d.To.Name = name, name, name, name, name
		d.Stuck = []mail.Stuck{{Name: name, Why: name}}
		for _, k := range mail.Kinds {
			raw := render(t, k, d)
			m := open(t, raw)
			require.Len(t, m.header, 10, "%q", name)
			require.Len(t, m.kinds, 2, "%q", name)
			require.NotContains(t, m.header, "Bcc", "%q", name)
			require.Equal(t, 1, bytes.Count(raw, []byte("\r\nSubject:")))
			for part, text := range map[string]string{"text": m.text, "html": m.html} {
				for _, found := range anyLink.FindAllString(text, -1) {
					require.Contains(t, []string{resetLink, notMeLink, queueLink}, found, "%q %s", name, part)
				}
				require.NotRegexp(t, `(?i)evil[.。]+(test|xn)`, text, "%q %s", name, part)
				require.NotContains(t, text, "\u202e")
			}
			require.False(t, external.MatchString(m.html), "%q: %s", name, external.FindString(m.html))
			require.NotContains(t, m.html, "<a href=//", "%q", name)
			plainSource(t, raw)
		}
	}
}

// What an environment is called may be unusual, and must come out right.
func TestNamesComeOutRight(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Żółw & Söhne":              "Żółw & Söhne",
		`The "Quoted" <Company>`:    `The "Quoted" <Company>`,
		"日本語の会社":                    "日本語の会社",
		"  Acme\r\n  Ltd. ":         "Acme Ltd.",
		"می‌خواهم":                  "می‌خواهم",
		"Zu\u0308rich":              "Zürich",
		strings.Repeat("long ", 40): strings.Repeat("long ", 15) + "long…",
	} {
		d := full()
		d.Environment, d.From.Name = name, name
		m := open(t, render(t, mail.Reset, d))
		require.Equal(t, "Reset your password · "+want, m.subject)
		from, err := netmail.ParseAddress(m.rawFrom)
		require.NoError(t, err)
		require.Equal(t, want, from.Name)
		require.Contains(t, m.text, "at "+want+".")
	}
	d := full()
	d.UserName = "Dr. J.R. Doe-St.John"
	require.Contains(t, open(t, render(t, mail.Reset, d)).text, "Hello Dr. J.R. Doe-St. John,")
	d.By = "maria@acme.example"
	require.Contains(t, open(t, render(t, mail.AdminLink, d)).text, "maria@acme.example, an administrator of Acme")
}

func TestAddressesFailClosed(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "jane", "jane@", "@acme.example", "jane@acme.example\r\nBcc: e@y.test", "jane@acme.example\n", "jane@acme.example\x00",
		"jane@acme.example, e@y.test", "<jane@acme.example>", "Jane <jane@acme.example>", "v@x>\r\nRCPT TO:<e@y", `"x -oQ/var/q"@z.test`,
		"jane@acme\u2028.example", "jane doe@acme.example", "jane@[127.0.0.1", "jane@[]", "jane@[127.0.0.1]>", "jane@[acme.example]", "jane@acme..example", strings.Repeat("x", 250) + "@acme.example",
	} {
		for what, set := range map[string]func(*mail.Data, string){
			"from": func(d *mail.Data, s string) { d.From.Address = s },
			"to":   func(d *mail.Data, s string) { d.To.Address = s },
			"old":  func(d *mail.Data, s string) { d.OldAddress = s },
			"new":  func(d *mail.Data, s string) { d.NewAddress = s },
			"reply": func(d *mail.Data, s string) {
				if s != "" {
					d.ReplyTo = s
				} else {
					d.To.Address = s
				}
			},
		} {
			d := full()
			set(&d, bad)
			_, err := mail.Render(mail.AddressChanged, d)
			require.Error(t, err, "%s %q", what, bad)
		}
	}
}

// TestTheSenderMayHaveNoName: a server without a name sends from its IP address.
// Nobody else is written to like that.
func TestTheSenderMayHaveNoName(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"[192.0.2.1]", "[IPv6:2001:db8::1]"} {
		d := full()
		d.From.Address, d.MessageID = "no-reply@"+host, "0192f0c1@"+host
		require.Contains(t, string(render(t, mail.Reset, d)), "<no-reply@"+host+">")
		d = full()
		d.To.Address = "jane@" + host
		_, err := mail.Render(mail.Reset, d)
		require.Error(t, err)
		d = full()
		d.ReplyTo = "help@" + host
		_, err = mail.Render(mail.Reset, d)
		require.Error(t, err)
	}
}

func TestAddressesWithUnicode(t *testing.T) {
	t.Parallel()
	d := full()
	d.To = mail.Party{Name: "Jörg", Address: "joerg@bücher.example"}
	require.Equal(t, "=?utf-8?q?J=C3=B6rg?= <joerg@xn--bcher-kva.example>", open(t, render(t, mail.Reset, d)).rawTo)
}

func TestWhatIsMissingOrMalformedIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*mail.Data){
		"no link":            func(d *mail.Data) { d.Link = "" },
		"no end":             func(d *mail.Data) { d.Until = time.Time{} },
		"no environment":     func(d *mail.Data) { d.Environment = " \r\n" },
		"no date":            func(d *mail.Data) { d.Date = time.Time{} },
		"no message id":      func(d *mail.Data) { d.MessageID = "" },
		"bracketed id":       func(d *mail.Data) { d.MessageID = "<a@b>" },
		"id with line break": func(d *mail.Data) { d.MessageID = "a@b\r\nBcc: e@y" },
		"short code":         func(d *mail.Data) { d.Code = "1234567" },
		"letters in code":    func(d *mail.Data) { d.Code = "1234567a" },
		"script link":        func(d *mail.Data) { d.Link = "javascript:alert(1)" },
		"link without host":  func(d *mail.Data) { d.Link = "https:///x" },
		"link with user":     func(d *mail.Data) { d.Link = "https://login.example.com@evil.test/x" },
		"link with space":    func(d *mail.Data) { d.Link = "https://login.example.com/a b" },
		"link with break":    func(d *mail.Data) { d.Link = "https://login.example.com/a\r\n.\r\n" },
		"link with quote":    func(d *mail.Data) { d.Link = `https://login.example.com/"onclick="x` },
		"endless link":       func(d *mail.Data) { d.Link = "https://login.example.com/" + strings.Repeat("a", 900) },
		"malformed not-me":   func(d *mail.Data) { d.NotMe = "ftp://x/" },
		"not-me without end": func(d *mail.Data) { d.NotMeUntil = time.Time{} },
	} {
		d := full()
		spoil(&d)
		_, err := mail.Render(mail.Reset, d)
		require.Error(t, err, name)
		for _, secret := range []string{"0V3G7T4K8Q2ZC9M5", "1W4H8V5M9R3ADXN6", "1234567"} {
			require.NotContains(t, err.Error(), secret, name)
		}
	}
	_, err := mail.Render("newsletter", full())
	require.Error(t, err)
}

func TestSameMessageGivesSameBytes(t *testing.T) {
	t.Parallel()
	require.Equal(t, string(render(t, mail.Reset, full())), string(render(t, mail.Reset, full())))
}

// TestTheShortestForm: a filter that refuses links and HTML finds neither.
func TestTheShortestForm(t *testing.T) {
	t.Parallel()
	for _, kind := range []mail.Kind{mail.Reset, mail.ResetByAdmin, mail.ResetAfterNotMe} {
		for _, name := range []string{"Jane", "Jörg"} {
			d := full()
			d.CodeOnly, d.UserName = true, name
			raw := render(t, kind, d)
			plainSource(t, raw)
			source := string(raw)
			require.NotContains(t, source, "http")
			require.NotContains(t, source, "multipart")
			require.NotContains(t, source, "html")
			require.Regexp(t, `(?m)^`+d.Code+`\r$`, source)
			require.Contains(t, source, "Content-Type: text/plain; charset=UTF-8")
			require.NotContains(t, source, "quoted-printable")
			require.Contains(t, source, "Auto-Submitted: auto-generated")
			whole := full()
			whole.UserName = name
			require.Less(t, len(raw), len(render(t, kind, whole))/3)
		}
	}
	d := full()
	d.CodeOnly, d.Code = true, ""
	_, err := mail.Render(mail.Reset, d)
	require.Error(t, err)
	d = full()
	d.CodeOnly = true
	_, err = mail.Render(mail.Invitation, d)
	require.Error(t, err)
}

func TestTimesAreInTheEnvironmentsZone(t *testing.T) {
	t.Parallel()
	d := full()
	d.Location = time.FixedZone("CET", 3600)
	require.Contains(t, open(t, render(t, mail.Reset, d)).text, "Wednesday 4 March 2026, 14:40 CET")
}

func FuzzRender(f *testing.F) {
	f.Add("Acme", "Jane", "jane@acme.example", resetLink, "04711815")
	f.Add("a\r\nb", "<b>", "x@y>\r\n", "http://x/\n", "")
	f.Fuzz(func(t *testing.T, environment, name, address, link, code string) {
		d := full()
		d.Environment, d.UserName, d.To.Name, d.To.Address, d.Link, d.Code = environment, name, name, address, link, code
		raw, err := mail.Render(mail.Reset, d)
		if err != nil {
			return
		}
		m := open(t, raw)
		require.Len(t, m.header, 10)
		require.Len(t, m.kinds, 2)
		plainSource(t, raw)
	})
}

func BenchmarkRender(b *testing.B) {
	d := full()
	for b.Loop() {
		if _, err := mail.Render(mail.Reset, d); err != nil {
			b.Fatal(err)
		}
	}
}

func render(t testing.TB, k mail.Kind, d mail.Data) []byte {
	t.Helper()
	raw, err := mail.Render(k, d)
	require.NoError(t, err, k)
	return raw
}

// plainSource: CRLF only, no control characters, no line over 998 octets.
func plainSource(t testing.TB, raw []byte) {
	t.Helper()
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		require.LessOrEqual(t, len(line), 998)
		require.False(t, bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }), "%q", line)
	}
}

type opened struct {
	header              map[string]string
	subject, text, html string
	rawFrom, rawTo      string
	kinds               []string
}

// open reads a message with a library that did not write it.
func open(t testing.TB, raw []byte) opened {
	t.Helper()
	r, err := message.CreateReader(bytes.NewReader(raw))
	require.NoError(t, err)
	m := opened{header: map[string]string{}, rawFrom: r.Header.Get("From"), rawTo: r.Header.Get("To")}
	for fields := r.Header.Fields(); fields.Next(); {
		require.NotContains(t, m.header, fields.Key(), "twice")
		value, err := fields.Text()
		require.NoError(t, err)
		m.header[fields.Key()] = value
	}
	kind, _, err := r.Header.ContentType()
	require.NoError(t, err)
	m.header["Content-Type"] = kind
	if encoding, ok := m.header["Content-Transfer-Encoding"]; ok {
		require.Equal(t, "8bit", encoding)
		delete(m.header, "Content-Transfer-Encoding")
	}
	m.subject, err = r.Header.Subject()
	require.NoError(t, err)
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return m
		}
		require.NoError(t, err)
		body, err := io.ReadAll(part.Body)
		require.NoError(t, err)
		inline, ok := part.Header.(*message.InlineHeader)
		require.True(t, ok)
		kind, params, err := inline.ContentType()
		require.NoError(t, err)
		require.Equal(t, "UTF-8", params["charset"])
		m.kinds = append(m.kinds, kind)
		text := strings.ReplaceAll(string(body), "\r\n", "\n")
		if slices.Equal(m.kinds, []string{"text/plain"}) {
			m.text = text
		} else {
			m.html = text
		}
	}
}
