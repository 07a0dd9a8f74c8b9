package doctor

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/keyring"
	"github.com/sparekey/sparekey/internal/maildns"
)

// server are the checks of this machine.
func (d *Doctor) server() []task {
	tasks := []task{{name: "configuration", title: "Configuration", run: func(context.Context) []Check { return d.configuration() }}}
	if d.DB != nil {
		tasks = append(tasks,
			task{name: "database", title: "Database", run: func(ctx context.Context) []Check { return d.database(ctx) }},
			task{name: "clock", title: "Clock", run: func(ctx context.Context) []Check { return []Check{d.clock(ctx)} }},
		)
	}
	if d.Ring != nil {
		tasks = append(tasks, task{name: "keys", title: "Keys", run: func(ctx context.Context) []Check { return []Check{d.keys(ctx)} }})
	}
	return tasks
}

func (d *Doctor) configuration() []Check {
	ask := Check{Name: "configuration", Title: "Configuration"}
	var all []Check
	add := func(c Check) { all = append(all, c) }
	c := d.Config
	_, domain, _ := strings.Cut(c.MailFrom.Address, "@")
	if c.SMTP == "" {
		add(ask.Ended(maildns.Fail, "No mail server is set up, so no mail can be sent.").Do("Set SPAREKEY_SMTP."))
	}
	if !strings.Contains(domain, ".") || strings.HasPrefix(domain, "[") {
		add(ask.Ended(maildns.Fail, "Our mail comes from %s; receivers refuse a sender without a real domain.", c.MailFrom.Address).Do("Set SPAREKEY_MAIL_FROM to an address of a domain of yours."))
	}
	if c.URL.Scheme == "http" && !loopbackHost(c.URL.Hostname()) {
		add(ask.Ended(maildns.Fail, "The public address %s is not encrypted: passwords and links travel in clear text.", c.URL).Do("Put a proxy with a certificate in front and set SPAREKEY_URL to its https:// address."))
	}
	if c.URL.Scheme == "https" && len(c.TrustedProxies) == 0 {
		add(ask.Ended(maildns.Warn, "The public address is https, which a proxy must add, but no proxy is trusted: everybody seems to come from one place, and the limits meet all at once.").
			Do("Set SPAREKEY_TRUSTED_PROXIES to the proxy's address."))
	}
	if c.LimitsOff {
		add(ask.Ended(maildns.Fail, "SPAREKEY_LIMITS is off: nobody who guesses passwords is slowed down.").Do("Remove it; it is for load tests only."))
	}
	if c.BounceListen == "" && len(c.MailEvents) == 0 {
		add(ask.Ended(maildns.Warn, "Returned mail is not read, so nobody learns of mail that is refused later.").Do("Set SPAREKEY_BOUNCE_LISTEN, or SPAREKEY_MAIL_EVENTS if a provider sends for you."))
	}
	if len(all) == 0 {
		add(ask.Ended(maildns.OK, "The configuration is complete."))
	}
	return all
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

const (
	slowTrip   = 250 * time.Millisecond
	littleDisk = 1 << 30   // bytes: look after it soon
	leastDisk  = 100 << 20 // bytes: the next write may fail
)

func (d *Doctor) database(ctx context.Context) []Check {
	c := Check{Name: "database", Title: "Database"}
	engine := map[string]string{"sqlite": "SQLite", "postgres": "PostgreSQL"}[d.Config.Database.Engine]
	started := d.Clock()
	if err := d.DB.Ping(ctx); err != nil {
		return []Check{c.Ended(maildns.Fail, "The database does not answer (%s).", words(err)).Do("Start it, and check SPAREKEY_DATABASE.")}
	}
	took := d.Clock().Sub(started)
	pending, err := d.DB.Pending(ctx)
	switch {
	case err != nil:
		return []Check{c.Ended(maildns.Fail, "The state of the database cannot be read (%s).", words(err)).Do("Run: sparekey migrate")}
	case pending:
		return []Check{c.Ended(maildns.Fail, "The database is older than this program.").Do("Run: sparekey migrate")}
	case took > slowTrip:
		c = c.Ended(maildns.Warn, "%s needs %s for an answer; every page waits for that.", engine, took.Round(time.Millisecond)).Do("Bring server and database closer together.")
	default:
		c = c.Ended(maildns.OK, "%s answers within %s and is up to date.", engine, max(took, time.Millisecond).Round(time.Millisecond))
	}
	if d.Config.Database.Engine != "sqlite" {
		return []Check{c}
	}
	return []Check{c, disk(filepath.Dir(d.Config.Database.DSN))}
}

func disk(folder string) Check {
	c := Check{Name: "disk", Title: "Disk"}
	free, err := freeBytes(folder)
	switch {
	case err != nil:
		return c.Ended(maildns.Unchecked, "The space left cannot be read (%v).", err)
	case free < leastDisk:
		return c.Ended(maildns.Fail, "The disk of the database has %s left; the next write may fail.", size(free)).Do("Make room on " + folder + ".")
	case free < littleDisk:
		return c.Ended(maildns.Warn, "The disk of the database has %s left.", size(free)).Do("Make room on " + folder + " soon.")
	default:
		return c.Ended(maildns.OK, "The disk of the database has %s left.", size(free))
	}
}

func size(bytes uint64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%d GB", bytes>>30)
	}
	return fmt.Sprintf("%d MB", bytes>>20)
}

const (
	littleOff = 2 * time.Second
	farOff    = 30 * time.Second
)

// clock compares this machine's with the database's, which counts.
func (d *Doctor) clock(ctx context.Context) Check {
	c := Check{Name: "clock", Title: "Clock"}
	if d.Config.Database.Engine == "sqlite" {
		return c.Ended(maildns.OK, "The database goes by this machine's clock: %s.", d.Clock().UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if err := d.DB.Ping(ctx); err != nil {
		return c.Ended(maildns.Unchecked, "The database does not answer, and its clock is the one that counts.")
	}
	off := d.DB.Now().Sub(d.Clock()).Abs()
	switch {
	case off > farOff:
		return c.Ended(maildns.Fail, "This machine's clock is %s away from the database's.", off.Round(time.Second)).Do("Set both by NTP.")
	case off > littleOff:
		return c.Ended(maildns.Warn, "This machine's clock is %s away from the database's.", off.Round(100*time.Millisecond)).Do("Set both by NTP.")
	default:
		return c.Ended(maildns.OK, "This machine's clock and the database's agree within %s.", max(off, time.Millisecond).Round(time.Millisecond))
	}
}

func (d *Doctor) keys(ctx context.Context) Check {
	c := Check{Name: "keys", Title: "Keys"}
	if err := d.Ring.Fits(ctx); err != nil {
		return c.Ended(maildns.Fail, "%s", words(err)).Do("Bring back the key file that belongs to this database. See: sparekey keys --help")
	}
	all, err := keyring.List(ctx, d.DB)
	if err != nil {
		return c.Ended(maildns.Fail, "The ring cannot be read (%s).", words(err)).Do("See: sparekey keys list")
	}
	for _, k := range all {
		if k.RetiredAt.IsZero() && k.RevokedAt.IsZero() {
			return c.Ended(maildns.OK, "The master key fits the database; key %d signs links.", k.ID)
		}
	}
	return c.Ended(maildns.Fail, "No key signs links.").Do("Run: sparekey keys rotate")
}

// Unopened is the check for a database or key file that does not open.
func Unopened(err error) Check {
	c := Check{Name: "database", Title: "Database and keys"}
	sentence := words(err)
	if fault.As(err) == nil {
		sentence = fmt.Sprintf("The database does not open (%v).", err)
	}
	return c.Ended(maildns.Fail, "%s", sentence).Do("Start the database and check SPAREKEY_DATABASE and SPAREKEY_KEY_FILE. The rest was looked at all the same.")
}
