package porting_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/porting"
	"github.com/sparekey/sparekey/internal/testkit/database"
	"github.com/sparekey/sparekey/internal/user"
)

const bcrypt = "$2b$10$abcdefghijklmnopqrstuuHHNpQZ2h4rRGoT1xqWwmCV2uBNTZBM6"

type world struct {
	*porting.Porting
	t   testing.TB
	env environment.Environment
}

// eachDB runs a test on both engines; on SQLite alone with -short.
func eachDB(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	database.Each(t, func(t *testing.T, engine string) { test(t, newWorld(t, engine)) })
}

func newWorld(t testing.TB, engine string) *world {
	t.Helper()
	d := database.Open(t, engine, time.Now)
	w := &world{Porting: &porting.Porting{DB: d}, t: t}
	require.NoError(t, d.Update(t.Context(), func(tx *db.Tx) (err error) {
		w.env, err = environment.Create(tx, "acme", "Acme")
		return err
	}))
	return w
}

// users gives everybody as "email name role state external hash".
func (w *world) users() []string {
	w.t.Helper()
	var all []string
	require.NoError(w.t, w.DB.View(w.t.Context(), func(tx *db.Tx) error {
		for u, err := range user.Every(tx, w.env.ID) {
			if err != nil {
				return err
			}
			hash := ""
			if u.PasswordHash != "" {
				hash = " hash"
			}
			all = append(all, fmt.Sprintf("%s|%s|%s|%s|%s%s", u.Email, u.Name, u.Role, u.State, u.ExternalID, hash))
		}
		return nil
	}))
	return all
}

// bring imports a text and gives the refused lines with their reasons.
func (w *world) bring(text string, o porting.ImportOptions) (porting.Summary, []string, error) {
	w.t.Helper()
	var refused []string
	o.Report = func(line int, reason string) { refused = append(refused, fmt.Sprintf("%d: %s", line, reason)) }
	sum, err := w.Import(w.t.Context(), access.Operator(), w.env, strings.NewReader(text), o)
	return sum, refused, err
}

const people = "email,name,role,state,external_id,password_hash\n" +
	"ann@acme.example,Ann,,,A-1," + bcrypt + "\n" +
	"ben@acme.example,\"Ben, the \"\"Boss\"\"\",client-admin,,,\n" +
	"cat@acme.example,Cat,helpdesk,deactivated,,\n"

var brought = []string{
	"ann@acme.example|Ann|member|active|A-1 hash",
	"ben@acme.example|Ben, the \"Boss\"|client-admin|invited|",
	"cat@acme.example|Cat|helpdesk|deactivated|",
}

func TestAFileOfUsersComesIn(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		sum, refused, err := w.bring("\ufeff"+strings.ReplaceAll(people, "\n", "\r\n"), porting.ImportOptions{DryRun: true})
		require.NoError(t, err)
		require.Empty(t, refused)
		require.Equal(t, porting.Summary{Read: 3, Added: 3}, sum)
		require.Empty(t, w.users(), "a dry run writes nothing")

		capitals := strings.Replace(people, "email,name,role", "EMAIL, Name ,Role", 1)
		sum, _, err = w.bring("\ufeff"+strings.ReplaceAll(capitals, "\n", "\r\n"), porting.ImportOptions{})
		require.NoError(t, err)
		require.Equal(t, porting.Summary{Read: 3, Added: 3}, sum)
		require.Empty(t, cmp.Diff(brought, w.users()))

		_, refused, err = w.bring(people, porting.ImportOptions{})
		require.True(t, fault.Is(err, fault.Invalid))
		require.Len(t, refused, 3, "nobody is changed by an import")
	})
}

func TestJSONLinesComeIn(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		text := `{"email":"ann@acme.example","name":"Ann","external_id":"A-1","password_hash":"` + bcrypt + `"}

{"name":"Ben, the \"Boss\"","email":"ben@acme.example","role":"client-admin","state":null}
{"email":"cat@acme.example","name":"Cat","role":"helpdesk","state":"deactivated"}`
		sum, refused, err := w.bring(text, porting.ImportOptions{Format: porting.JSONLines})
		require.NoError(t, err)
		require.Empty(t, refused)
		require.Equal(t, 3, sum.Added)
		require.Empty(t, cmp.Diff(brought, w.users()))
	})
}

func TestEveryRefusedLineIsReportedAndNothingIsHalfImported(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		text := "email,name,role,state,password_hash\n" +
			"good@acme.example,Good,,,\n" +
			"bad,Bad,,,\n" +
			"no.name@acme.example, ,,,\n" +
			"root@acme.example,Root,root,,\n" +
			"state@acme.example,State,,sleeping,\n" +
			"hash@acme.example,Hash,,,plain-text-secret\n" +
			"GOOD@acme.example,Good Again,,,\n" +
			"short@acme.example,Short\n" +
			"quote@acme.example,Qu\"ote,,,\n" +
			"invited@acme.example,Invited,,invited," + bcrypt + "\n" +
			"crlf@acme.example\r\nRCPT TO:<x>,Split,,,\n" +
			"also.good@acme.example,Also Good,,,\n"
		sum, refused, err := w.bring(text, porting.ImportOptions{})
		require.True(t, fault.Is(err, fault.Invalid))
		require.Empty(t, w.users())
		require.Zero(t, sum.Added)
		require.Equal(t, sum.Refused, len(refused))
		for i, want := range []string{
			"3: This is not a complete", "4: Enter a name", "5: The role is one of", "6: The state is one of", "7: This is not a password hash",
			"8: This address, or one that reads the same, stands on line 2", "9: The line has 2 fields, the first line 5", "10: A quotation mark",
			"11: Somebody who is invited", "12: The line has 1 fields", "13: This is not a complete",
		} {
			require.True(t, strings.HasPrefix(refused[i], want), "%q, not %q", refused[i], want)
			require.NotContains(t, refused[i], "secret")
		}
		require.Len(t, refused, 11)

		dry, _, err := w.bring(text, porting.ImportOptions{DryRun: true, Partial: true})
		require.NoError(t, err)
		part, refused, err := w.bring(text, porting.ImportOptions{Partial: true})
		require.NoError(t, err)
		require.Equal(t, dry, part)
		require.Equal(t, porting.Summary{Read: 13, Added: 2, Refused: 11}, part)
		require.Len(t, refused, 11)
		require.Len(t, w.users(), 2)
	})
}

func TestFilesThatCannotBeReadAtAll(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		for text, want := range map[string]string{
			"":                            "empty",
			"email;name\na@b.example;A\n": "commas",
			"name\nA\n":                   `"email" is missing`,
			"email,name,id\n":             `no field "id"`,
			"E-Mail,name\n":               `no field "E-Mail"`,
			"email,name,Email\n":          "twice",
			"\xff\xfee\x00":               "UTF-16",
			"email,name\na@b.example,\"" + strings.Repeat("x\n", 200_000): "quotation mark",
			strings.Repeat("x", 300_000):                                  "longer",
		} {
			for _, partial := range []bool{false, true} {
				_, _, err := w.bring(text, porting.ImportOptions{Partial: partial})
				require.True(t, fault.Is(err, fault.Invalid), "%.40q: %v", text, err)
				require.Contains(t, fault.As(err).Sentence, want)
			}
		}
		require.Empty(t, w.users())
	})
}

func TestJSONThatCouldMeanTwoThingsIsRefused(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		for _, text := range []string{
			`{"email":"a@b.example","name":"A","email":"c@d.example"}`,
			`{"Email":"a@b.example","name":"A"}`,
			`{"email":"a@b.example","name":"A","is_admin":"true"}`,
			`{"email":"a@b.example","name":"A"} {}`,
			`{"email":["a@b.example"],"name":"A"}`,
			`{"email":"a@b.example","name":7}`,
			`{"email":"a@b.example","name":"A"`,
			`["a@b.example"]`, `null`, `"x"`, "{\"email\":\"a@b.example\",\"name\":\"\xff\"}",
		} {
			_, refused, err := w.bring(text, porting.ImportOptions{Format: porting.JSONLines})
			require.True(t, fault.Is(err, fault.Invalid), text)
			require.Len(t, refused, 1, text)
			require.True(t, strings.HasPrefix(refused[0], "1: "))
		}
		_, _, err := w.bring(`{"email":"`+strings.Repeat("x", 100_000), porting.ImportOptions{Format: porting.JSONLines})
		require.Contains(t, fault.As(err).Sentence, "longer")
		require.Empty(t, w.users())
	})
}

func TestWhatGoesOutComesBackTheSame(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		names := []string{"=1+1", "+A", "-A", "@A", "'quoted'", "'=A", "''-A", "Ann, \"A\"", "＝full", "Łukasz 😀", "plain"}
		var in strings.Builder
		for i, n := range names {
			fmt.Fprintf(&in, "{\"email\":\"p%d@acme.example\",\"name\":%q,\"external_id\":%q,\"password_hash\":%q}\n", i, n, n, bcrypt)
		}
		in.WriteString(`{"email":"=cmd@acme.example","name":"Cmd","state":"deactivated"}`)
		_, refused, err := w.bring(in.String(), porting.ImportOptions{Format: porting.JSONLines})
		require.NoError(t, err, refused)
		before := w.users()
		for _, format := range []porting.Format{porting.CSV, porting.JSONLines} {
			var out bytes.Buffer
			n, err := w.Export(t.Context(), access.Operator(), w.env, &out, porting.ExportOptions{Format: format, WithHashes: true})
			require.NoError(t, err)
			require.Equal(t, len(before), n)
			if format == porting.CSV {
				for _, line := range strings.Split(out.String(), "\r\n") {
					for _, bad := range []string{",=", ",+", ",-", ",@", ",\"=", ",＝"} {
						require.NotContains(t, line, bad)
					}
				}
			}
			w.again()
			_, refused, err := w.bring(out.String(), porting.ImportOptions{Format: format})
			require.NoError(t, err, refused)
			require.Empty(t, cmp.Diff(before, w.users()))
		}
		var out bytes.Buffer
		_, err = w.Export(t.Context(), access.Operator(), w.env, &out, porting.ExportOptions{})
		require.NoError(t, err)
		require.NotContains(t, out.String(), "$2b$")
		require.NotContains(t, out.String(), "password_hash")
	})
}

// again empties the environment.
func (w *world) again() {
	w.t.Helper()
	require.NoError(w.t, w.DB.Update(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec("DELETE FROM users WHERE environment_id = $1", w.env.ID)
		return err
	}))
}

func TestWhoMayPort(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		actor := access.Actor{Environment: w.env.ID, User: "u", Role: access.Helpdesk}
		_, err := w.Import(t.Context(), actor, w.env, strings.NewReader(people), porting.ImportOptions{})
		require.True(t, fault.Is(err, fault.Denied))
		_, err = w.Export(t.Context(), actor, w.env, io.Discard, porting.ExportOptions{})
		require.True(t, fault.Is(err, fault.Denied))
		actor.Role = access.ClientAdmin
		_, err = w.Export(t.Context(), actor, w.env, io.Discard, porting.ExportOptions{WithHashes: true})
		require.True(t, fault.Is(err, fault.Denied), "hashes leave with an operator alone")
		actor.Environment = "elsewhere"
		_, err = w.Import(t.Context(), actor, w.env, strings.NewReader(people), porting.ImportOptions{})
		require.True(t, fault.Is(err, fault.NotFound))
	})
}

// pipe hides that a reader could be read again.
type pipe struct{ io.Reader }

func TestAClientAdminComesFromAnOperatorWhereASecondOneMustAgree(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		ada := access.Actor{Environment: w.env.ID, User: "ada", Name: "Ada", Role: access.ClientAdmin}
		bring := func(actor access.Actor, o porting.ImportOptions) (int, []string) {
			var refused []string
			o.Report = func(line int, reason string) { refused = append(refused, fmt.Sprintf("%d: %s", line, reason)) }
			sum, _ := w.Import(t.Context(), actor, w.env, strings.NewReader(people), o)
			return sum.Added, refused
		}
		w.env.Policy.SecondAdmin = true
		for _, o := range []porting.ImportOptions{{}, {DryRun: true}} {
			added, refused := bring(ada, o)
			require.Zero(t, added)
			require.Len(t, refused, 1)
			require.Contains(t, refused[0], "3: In this environment an operator adds a Client Admin")
		}
		require.Empty(t, w.users())
		added, refused := bring(ada, porting.ImportOptions{Partial: true})
		require.Equal(t, 2, added)
		require.Len(t, refused, 1)
		require.NotContains(t, strings.Join(w.users(), " "), "client-admin")

		w.again()
		added, refused = bring(access.Operator(), porting.ImportOptions{})
		require.Equal(t, 3, added)
		require.Empty(t, refused)

		w.again()
		w.env.Policy.SecondAdmin = false
		added, _ = bring(ada, porting.ImportOptions{})
		require.Equal(t, 3, added, "without the policy nothing is different")
	})
}

func TestAPipeCanBeImported(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		sum, err := w.Import(t.Context(), access.Operator(), w.env, pipe{strings.NewReader(people)}, porting.ImportOptions{})
		require.NoError(t, err)
		require.Equal(t, 3, sum.Added)
	})
}

func many(n int) string {
	var b strings.Builder
	b.WriteString("email,name,external_id,password_hash\n")
	for i := range n {
		fmt.Fprintf(&b, "person%d@acme.example,Person Number %d,%d,%s\n", i, i, i, bcrypt)
	}
	return b.String()
}

func TestAnInterruptedImportLeavesNothing(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		passes := 0
		_, err := w.Import(ctx, access.Operator(), w.env, strings.NewReader(many(2000)), porting.ImportOptions{Progress: func(done int) {
			if done == 1000 {
				if passes++; passes == 2 { // judging is the first
					cancel()
				}
			}
		}})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 2, passes)
		require.Empty(t, w.users())
	})
}

func TestAnAddressTakenBetweenThePassesUndoesAll(t *testing.T) {
	eachDB(t, func(t *testing.T, w *world) {
		taken := errors.New("not tried")
		text := many(700)
		sum, err := w.Import(t.Context(), access.Operator(), w.env, strings.NewReader(text), porting.ImportOptions{Progress: func(done int) {
			if done == 700 && taken != nil && taken.Error() == "not tried" {
				_, taken = w.Import(t.Context(), access.Operator(), w.env, strings.NewReader("email,name\nPERSON650@acme.example,First\n"), porting.ImportOptions{})
			}
		}})
		require.NoError(t, taken)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
		require.Equal(t, porting.Summary{Read: 700, Refused: 1}, sum)
		require.Len(t, w.users(), 1)
	})
}

func BenchmarkImport(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, partial := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/partial=%v", engine, partial), func(b *testing.B) {
				text := many(10_000)
				for b.Loop() {
					w := newWorld(b, engine)
					sum, err := w.Import(b.Context(), access.Operator(), w.env, strings.NewReader(text), porting.ImportOptions{Partial: partial})
					require.NoError(b, err)
					require.Equal(b, 10_000, sum.Added)
				}
			})
		}
	}
}
