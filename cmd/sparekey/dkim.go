package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sparekey/sparekey/internal/app"
	"github.com/sparekey/sparekey/internal/dkim"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/keyring"
)

type dkimCommands struct {
	Create   dkimCreate   `cmd:"" help:"Make the first keys for a domain and print the DNS records to publish."`
	List     dkimList     `cmd:"" help:"List the keys with their records, by domain."`
	Rotate   dkimRotate   `cmd:"" help:"Make new keys for a domain; the old ones sign until the new ones are activated."`
	Activate dkimActivate `cmd:"" help:"Sign with these keys from now on, once their records are published."`
	Retire   dkimRetire   `cmd:"" help:"Destroy keys that are not needed any more."`

	Settings kong.Plugins `embed:""`
}

// shownDKIM is a pair of keys as scripts read it.
type shownDKIM struct {
	Domain     string        `json:"domain"`
	Selector   string        `json:"selector"`
	State      string        `json:"state"` // ready, signing or retired
	MadeAt     *time.Time    `json:"made_at"`
	SignsSince *time.Time    `json:"signs_since"`
	RetiredAt  *time.Time    `json:"retired_at"`
	Records    []shownRecord `json:"records"`
}

type shownRecord struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Value   string   `json:"value"`
	Strings []string `json:"strings"` // the value in pieces of at most 255 bytes
}

func showDKIM(i keyring.DKIMInfo) shownDKIM {
	s := shownDKIM{
		Domain: i.Domain, Selector: i.Selector, State: i.State(),
		MadeAt: stamp(i.MadeAt), SignsSince: stamp(i.SignsSince), RetiredAt: stamp(i.RetiredAt), Records: []shownRecord{},
	}
	for _, r := range i.Records() {
		s.Records = append(s.Records, shownRecord{r.Name, "TXT", r.Value, r.Strings()})
	}
	return s
}

// jsonDKIM prints a pair as it is now.
func (t *terminal) jsonDKIM(ctx context.Context, core *app.Core, i keyring.DKIMInfo) error {
	now, err := keyring.FindDKIM(ctx, core.DB, i.Domain, i.Selector)
	if err != nil {
		return err
	}
	return t.json(showDKIM(now))
}

// sayRecords tells what to publish, and what comes then.
func (t *terminal) sayRecords(i keyring.DKIMInfo) error {
	lines := []string{"Publish these two TXT records:", ""}
	for _, r := range i.Records() {
		lines = append(lines, r.Zone(), "")
	}
	lines = append(
		lines,
		"A string in DNS has at most 255 bytes, so the first value stands in two. Where a form takes one value, paste them joined, without quotes and the space between.",
		fmt.Sprintf("When they can be looked up: sparekey dkim activate %s", i.Selector),
	)
	return t.say(strings.Join(lines, "\n"))
}

type dkimCreate struct {
	Domain   string `arg:"" help:"The domain of the sender's address, for example example.com."`
	Selector string `placeholder:"NAME" help:"The name of the keys; without it the next of sparekey1, sparekey2 and so on."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

func (c dkimCreate) Run(ctx context.Context, t *terminal, s *settings) error {
	return makeDKIM(ctx, t, s, c.Domain, c.Selector, c.JSON, func(old *keyring.DKIMInfo) error {
		if old != nil {
			return fault.New(fault.Conflict, "%s has the keys %s already. To replace them: sparekey dkim rotate %s", old.Domain, old.Selector, old.Domain)
		}
		return nil
	})
}

type dkimRotate struct {
	Domain   string `arg:"" help:"The domain whose keys are to be replaced."`
	Selector string `placeholder:"NAME" help:"The name of the new keys; without it the next of sparekey1, sparekey2 and so on."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

func (c dkimRotate) Run(ctx context.Context, t *terminal, s *settings) error {
	return makeDKIM(ctx, t, s, c.Domain, c.Selector, c.JSON, func(old *keyring.DKIMInfo) error {
		if old == nil {
			return fault.New(fault.NotFound, "There are no keys for %s to replace. To make the first: sparekey dkim create %s", c.Domain, c.Domain)
		}
		if old.State() == "signing" && !c.JSON {
			return t.say(fmt.Sprintf("%s signs the mails of %s until the new keys are activated.\n", old.Selector, old.Domain))
		}
		return nil
	})
}

// makeDKIM makes keys if check allows it, which gets the ones that the domain
// has: those that sign, or else the newest that are not retired.
func makeDKIM(ctx context.Context, t *terminal, s *settings, domain, selector string, asJSON bool, check func(*keyring.DKIMInfo) error) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		domain, err := dkim.Domain(domain)
		if err != nil {
			return err
		}
		all, err := keyring.ListDKIM(ctx, core.DB)
		if err != nil {
			return err
		}
		var old *keyring.DKIMInfo
		retired := false
		for _, i := range all {
			switch {
			case i.Domain != domain:
			case i.State() == "retired":
				retired = true
			case old == nil || old.State() != "signing":
				old = &i
			}
		}
		if err := check(old); err != nil && !(old == nil && retired) {
			return err
		}
		made, err := core.Ring.CreateDKIM(ctx, domain, selector)
		if err != nil {
			return err
		}
		if asJSON {
			return t.json(showDKIM(made))
		}
		return t.sayRecords(made)
	})
}

type dkimList struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c dkimList) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		all, err := keyring.ListDKIM(ctx, core.DB)
		if err != nil {
			return err
		}
		shown := make([]shownDKIM, 0, len(all))
		rows := make([][]string, 0, len(all))
		for _, i := range all {
			shown = append(shown, showDKIM(i))
			rows = append(rows, []string{i.Domain, i.Selector, i.State(), when(i.MadeAt, ""), when(i.SignsSince, ""), when(i.RetiredAt, "")})
		}
		if c.JSON {
			return t.json(shown)
		}
		if err := t.table([]string{"DOMAIN", "SELECTOR", "STATE", "MADE", "SIGNS SINCE", "RETIRED"}, rows); err != nil {
			return err
		}
		for _, i := range all {
			if i.State() == "retired" {
				continue
			}
			for _, r := range i.Records() {
				if err := t.say("\n" + r.Zone()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type dkimActivate struct {
	Selector  string `arg:"" help:"The name of the keys, as dkim list shows it."`
	Domain    string `placeholder:"DOMAIN" help:"Their domain, where several have keys of that name."`
	Unchecked bool   `help:"Do not look whether the records are published; for a machine that sees another DNS than the world."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

func (c dkimActivate) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withDKIM(ctx, t, c.Domain, c.Selector, func(core *app.Core, i keyring.DKIMInfo) error {
		if !c.Unchecked {
			if err := t.published(ctx, i); err != nil {
				return err
			}
		}
		before, err := signing(ctx, core, i.Domain)
		if err != nil {
			return err
		}
		if err := core.Ring.ActivateDKIM(ctx, i.Domain, i.Selector); err != nil {
			return err
		}
		if c.JSON {
			return t.jsonDKIM(ctx, core, i)
		}
		if err := t.say(fmt.Sprintf("%s signs the mails of %s from now on; servers that run take it up within a minute.", i.Selector, i.Domain)); err != nil {
			return err
		}
		if before == "" || before == i.Selector {
			return nil
		}
		return t.say(fmt.Sprintf("Leave the records of %s in DNS for a week: mails under way are still checked with them. Then: sparekey dkim retire %s", before, before))
	})
}

// published refuses keys whose records the world cannot see.
func (t *terminal) published(ctx context.Context, i keyring.DKIMInfo) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	look := t.lookUp
	if look == nil {
		look = net.DefaultResolver.LookupTXT
	}
	var wrong []string
	for _, r := range i.Records() {
		if err := r.Check(ctx, look); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "Nothing was changed: %s. The records to publish: sparekey dkim list. A new record can take an hour to be seen.", printable(strings.Join(wrong, "; ")))
}

// signing gives the selector that signs for a domain, or "".
func signing(ctx context.Context, core *app.Core, domain string) (string, error) {
	all, err := keyring.ListDKIM(ctx, core.DB)
	for _, i := range all {
		if i.Domain == domain && i.State() == "signing" {
			return i.Selector, err
		}
	}
	return "", err
}

type dkimRetire struct {
	Selector      string `arg:"" help:"The name of the keys, as dkim list shows it."`
	Domain        string `placeholder:"DOMAIN" help:"Their domain, where several have keys of that name."`
	EvenIfSigning bool   `help:"Also keys that sign: the domain's mails go out unsigned from then on."`
	JSON          bool   `name:"json" help:"Print JSON."`
}

func (c dkimRetire) Run(ctx context.Context, t *terminal, s *settings) error {
	return s.withDKIM(ctx, t, c.Domain, c.Selector, func(core *app.Core, i keyring.DKIMInfo) error {
		if err := core.Ring.RetireDKIM(ctx, i.Domain, i.Selector, c.EvenIfSigning); err != nil {
			return err
		}
		if c.JSON {
			return t.jsonDKIM(ctx, core, i)
		}
		return t.say(fmt.Sprintf("The private keys of %s are destroyed. Take its two records out of the DNS of %s.", i.Selector, i.Domain))
	})
}

// withDKIM finds the keys that a command is about.
func (s *settings) withDKIM(ctx context.Context, t *terminal, domain, selector string, do func(*app.Core, keyring.DKIMInfo) error) error {
	return s.withCore(ctx, t, func(core *app.Core) error {
		if domain != "" {
			var err error
			if domain, err = dkim.Domain(domain); err != nil {
				return err
			}
		}
		i, err := keyring.FindDKIM(ctx, core.DB, domain, strings.ToLower(selector))
		if err != nil {
			return err
		}
		return do(core, i)
	})
}
