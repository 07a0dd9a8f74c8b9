package environment_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
)

func TestTheStandardPolicy(t *testing.T) {
	t.Parallel()
	p := environment.Standard()
	require.NoError(t, p.Check())
	require.Equal(t, 24*time.Hour, p.LinkLife)
	require.Equal(t, 7*24*time.Hour, p.InvitationLife)
	require.Equal(t, environment.ExistingToken, p.AdminLinks)
	require.Equal(t, 15, p.PasswordMinLength)
	require.False(t, p.SignedInAfter)
}

// allowed and refused are the edges of every setting.
var allowed = map[string][]string{
	"link_life":           {"10m", "24h", "600s", "1h30m", "10m30s", "1h0m30s", "90m"},
	"invitation_life":     {"24h", "336h", "168h", "100h30m"},
	"admin_links":         {"existing-token", "mint", "off"},
	"help_digest":         {"off", "daily"},
	"second_admin":        {"on", "off"},
	"password_min_length": {"8", "15", "12"},
	"after_reset":         {"login", "signed-in"},
	"session_idle":        {"5m", "720h"},
	"session_life":        {"1h", "2160h"},
	"own_networks":        {"", "192.0.2.0/24", "192.0.2.77/24, 2001:db8::/32", ","},
	"help_line":           {"", "Call 555 0100", strings.Repeat("ü", 200), "“quoted” <b>&"},
	"help_email":          {"", "help@acme.example", "help@bücher.example"},
	"accent":              {"", "#0b6e5a", "#0B6E5A", "#000000"},
	"sender_name":         {"", "Acme Büro, Sign-in", strings.Repeat("ü", 60)},
	"sender_address":      {"", "accounts@acme.example", "accounts@bücher.example"},
}

var refused = map[string][]string{
	"link_life":           {"", "9m59s", "24h1s", "1d", "-1h", "10", "soon", "NaN"},
	"invitation_life":     {"", "23h", "337h", "999999999h", "9999999999999999999h"},
	"admin_links":         {"", "Mint", "on", "mint off"},
	"help_digest":         {"", "on", "Daily", "weekly"},
	"second_admin":        {"", "yes", "ON"},
	"password_min_length": {"", "7", "16", "0x9", "9.5", "-9"},
	"after_reset":         {"", "Login", "signed in"},
	"session_idle":        {"", "4m", "721h"},
	"session_life":        {"", "59m", "2161h"},
	"own_networks":        {"192.0.2.1", "192.0.2.0/33", "acme.example", strings.Repeat("192.0.2.0/24,", 51)},
	"help_line":           {strings.Repeat("x", 201), "a\nb", "a\x00b", "a\xffb", "a\x7fb"},
	"help_email":          {"@", "nobody", "a@b@c", "a b@c.example", "a@b.example,c@d.example", "<a@b.example>", "a@b.example\nBcc: c@d.example", strings.Repeat("x", 250) + "@acme.example"},
	"sender_name":         {strings.Repeat("x", 61), "a\nb", "Boss <boss@acme.example>", `"Acme"`, "boss@acme.example"},
	"sender_address":      {"@", "nobody", "jörg@acme.example", "Acme <a@acme.example>", "a@acme.example\nBcc: b@acme.example", "a@b.example,c@d.example"},
	"accent":              {"red", "#fff", "#ffffff", "#0b6e5", "#0b6e5g", "0b6e5a", "#ffff00"},
}

// TestEverySettingHasItsEdges, and what is allowed reads back as it was.
func TestEverySettingHasItsEdges(t *testing.T) {
	t.Parallel()
	for _, s := range environment.Settings {
		require.NotEmpty(t, allowed[s.Name], "no values for %s", s.Name)
		require.NotEmpty(t, refused[s.Name], "no values for %s", s.Name)
		for _, value := range allowed[s.Name] {
			p, err := environment.Standard().With(s.Name, " "+value+" ")
			require.NoError(t, err, "%s=%q", s.Name, value)
			require.NoError(t, p.Check(), "%s=%q", s.Name, value)
			again, err := environment.Standard().With(s.Name, s.Get(p))
			require.NoError(t, err, "%s=%q", s.Name, value)
			require.Equal(t, p, again, "%s=%q", s.Name, value)
		}
		for _, value := range refused[s.Name] {
			_, err := environment.Standard().With(s.Name, value)
			require.True(t, fault.Is(err, fault.Invalid), "%s=%q", s.Name, value)
			require.Equal(t, s.Name, fault.As(err).Fields[0].Name)
			require.Contains(t, err.Error(), s.Allowed)
		}
	}
	_, err := environment.Standard().With("no_such", "x")
	require.True(t, fault.Is(err, fault.Invalid))
}

func TestAPolicyIsStoredAndReadBack(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, d *db.DB) {
		in(t, d, func(tx *db.Tx) error {
			acme, err := environment.Create(tx, "acme", "Acme")
			require.NoError(t, err)
			stored := func() string {
				text, err := db.One[string](tx, "SELECT policy FROM environments WHERE id = $1", acme.ID)
				require.NoError(t, err)
				return text
			}
			require.Equal(t, "{}", stored(), "a better standard reaches those who never chose")
			p := acme.Policy
			for name, values := range allowed {
				p, err = p.With(name, values[len(values)-1])
				require.NoError(t, err)
			}
			p.OwnNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			require.NoError(t, environment.SetPolicy(tx, acme.ID, p))
			now, err := environment.ByID(tx, acme.ID)
			require.NoError(t, err)
			require.Equal(t, p, now.Policy)
			require.NoError(t, environment.SetPolicy(tx, acme.ID, environment.Standard()))
			require.Equal(t, "{}", stored())

			broken := environment.Standard()
			broken.LinkLife = time.Minute
			require.True(t, fault.Is(environment.SetPolicy(tx, acme.ID, broken), fault.Invalid))
			require.Equal(t, "{}", stored())
			return nil
		})
	})
}
