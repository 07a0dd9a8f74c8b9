package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/doctor"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/maildns"
)

type doctorCommand struct {
	Environment string   `placeholder:"SLUG" help:"Look at the sender of this environment instead of the server's."`
	To          string   `placeholder:"ADDRESS" help:"Send a test mail there, and look at what its domain demands. Without it no mail is sent."`
	FromIP      []string `name:"from-ip" placeholder:"IP" help:"A public address that mail leaves from, for SPF and reverse DNS; repeat it, or put commas between several. Without it the addresses of the mail servers are taken."`
	Resolver    string   `placeholder:"HOST:PORT" help:"Ask this DNS server instead of this machine's."`
	JSON        bool     `name:"json" help:"Print JSON."`

	Settings kong.Plugins `embed:""`
}

func (doctorCommand) Help() string {
	return "Checks configuration, database, clock, keys, and the way of mail: the conversation with each mail server, certificates, SPF, DKIM, DMARC, MX, reverse DNS, " +
		"and whether returned mail comes back. Says of each what to do, with the exact DNS record to publish. Exit status 1 when something is wrong."
}

func (c doctorCommand) Run(ctx context.Context, t *terminal, s *settings) error {
	q, err := c.question()
	if err != nil {
		return err
	}
	conf, err := s.load(t)
	if err != nil {
		return c.tell(t, []doctor.Check{unreadable(err)})
	}
	core, err := app.Open(ctx, conf, options(conf, t))
	if err != nil {
		o := options(conf, t)
		checks, examined := (&doctor.Doctor{Config: conf, Clock: o.Clock}).Examine(ctx, access.Operator(), q)
		if examined != nil {
			return examined
		}
		return c.tell(t, append([]doctor.Check{doctor.Unopened(err)}, checks...))
	}
	defer func() { _ = core.Close() }() // nothing was written
	if c.Environment != "" {
		if q.Environment, err = findEnvironment(ctx, core, c.Environment); err != nil {
			return err
		}
	}
	checks, err := core.Doctor.Examine(ctx, access.Operator(), q)
	if err != nil {
		return err
	}
	return c.tell(t, checks)
}

// question reads the flags that the grammar cannot judge.
func (c doctorCommand) question() (doctor.Question, error) {
	q := doctor.Question{To: c.To}
	if c.To != "" {
		if _, err := address.Parse(c.To); err != nil {
			return q, usageError(fmt.Sprintf("--to: %s", sentence(err)))
		}
	}
	for _, text := range c.FromIP {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return q, usageError(fmt.Sprintf("--from-ip: %q is no IP address", text))
		}
		q.FromIP = append(q.FromIP, ip.Unmap())
	}
	if c.Resolver != "" {
		host, port, err := net.SplitHostPort(c.Resolver)
		if err != nil || host == "" || port == "" {
			return q, usageError(fmt.Sprintf("--resolver: %q is not HOST:PORT, for example 192.0.2.53:53", c.Resolver))
		}
		q.Resolver = maildns.At(c.Resolver)
	}
	return q, nil
}

func unreadable(err error) doctor.Check {
	return doctor.Check{Name: "configuration", Title: "Configuration"}.Ended(maildns.Fail, "%s", sentence(err)).
		Do("Repair it; nothing else can be looked at before. The settings are listed by: sparekey serve --help")
}

// tell prints the checks; the error says whether one failed.
func (c doctorCommand) tell(t *terminal, checks []doctor.Check) error {
	var err error
	if c.JSON {
		err = t.json(struct {
			OK     bool           `json:"ok"`
			Checks []doctor.Check `json:"checks"`
		}{!doctor.Failed(checks), checks})
	} else {
		err = t.say(report(checks))
	}
	if err != nil || !doctor.Failed(checks) {
		return err
	}
	wrong := 0
	for _, check := range checks {
		if check.State == maildns.Fail {
			wrong++
		}
	}
	return fault.New(fault.Conflict, "%d %s wrong.", wrong, plural(wrong, "thing is", "things are"))
}

var stateMarks = map[maildns.State]string{maildns.OK: "ok", maildns.Warn: "warn", maildns.Fail: "FAIL", maildns.Unchecked: "-"}

// report is for people: what is well in one line, all else with what to do.
func report(checks []doctor.Check) string {
	var b strings.Builder
	for i, c := range checks {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%-5s %s: %s", stateMarks[c.State], printable(c.Title), printable(c.Sentence))
		if c.State == maildns.Unchecked {
			b.WriteString(" (not checked)")
		}
		if c.Action != "" {
			b.WriteString("\n      -> " + printable(c.Action))
		}
		for _, r := range c.Records {
			b.WriteString("\n         " + printable(r.String()))
		}
	}
	return b.String()
}
