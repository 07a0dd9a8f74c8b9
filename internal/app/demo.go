package app

import (
	"context"
	"fmt"

	"github.com/emersion/go-smtp"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/address"
	"github.com/sparekey/sparekey/internal/audit"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/user"
)

// What the demo is made of; its guide tells these.
const (
	DemoSlug     = "acme"
	DemoAdmin    = "admin@acme.example"
	DemoHelpdesk = "helpdesk@acme.example"
	DemoMember   = "jane@acme.example"
	DemoOperator = "operator@sparekey.example"
	DemoPassword = "spare key under the mat"
)

// sample is a person of the demo.
type sample struct {
	email, name string
	role        access.Role
	state       user.State
}

// operator runs the server.
var operator = sample{DemoOperator, "Olivia Operator", access.ServerOperator, user.Active}

// samples are the two who help and 25 users. Two Janes are there to be told apart.
var samples = []sample{
	{DemoAdmin, "Ada Admin", access.ClientAdmin, user.Active},
	{DemoHelpdesk, "Henry Helpdesk", access.Helpdesk, user.Active},

	{DemoMember, "Jane Doe", access.Member, user.Active},
	{"jane.dough@acme.example", "Jane Dough", access.Member, user.Active},
	{"amara.okafor@acme.example", "Amara Okafor", access.Member, user.Active},
	{"bjorn.lindqvist@acme.example", "Björn Lindqvist", access.Member, user.Active},
	{"camila.rodriguez@acme.example", "Camila Rodríguez", access.Member, user.Active},
	{"daniel.oconnor@acme.example", "Daniel O’Connor", access.Member, user.Active},
	{"elodie.marchand@acme.example", "Élodie Marchand", access.Member, user.Active},
	{"fatima.alrashid@acme.example", "Fatima al-Rashid", access.Member, user.Active},
	{"grace.mbeki@acme.example", "Grace Mbeki", access.Member, user.Active},
	{"hiroshi.tanaka@acme.example", "Hiroshi Tanaka", access.Member, user.Active},
	{"ines.mueller-hoffmann@acme.example", "Ines Müller-Hoffmann", access.Member, user.Active},
	{"isabela.santos@acme.example", "Isabela Santos", access.Member, user.Active},
	{"jakub.nowak@acme.example", "Jakub Nowak", access.Member, user.Active},
	{"kwame.mensah@acme.example", "Kwame Mensah", access.Member, user.Invited},
	{"leila.haddad@acme.example", "Leila Haddad", access.Member, user.Active},
	{"linh.nguyen@acme.example", "Linh Nguyễn", access.Member, user.Active},
	{"mateo.fernandez@acme.example", "Mateo Fernández", access.Member, user.Active},
	{"nina.petrovic@acme.example", "Nina Petrović", access.Member, user.Invited},
	{"oluwaseun.adeyemi@acme.example", "Oluwaseun Adeyemi", access.Member, user.Active},
	{"priya.raman@acme.example", "Priya Raman", access.Member, user.Active},
	{"rahul.deshpande@acme.example", "Rahul Deshpande", access.Member, user.Deactivated},
	{"siobhan.byrne@acme.example", "Siobhán Byrne", access.Member, user.Active},
	{"tomas.ferreira@acme.example", "Tomás Ferreira", access.Member, user.Active},
	{"wei.chen@acme.example", "Wei Chen", access.Member, user.Active},
	{"yuki.sato@acme.example", "Yuki Sato", access.Member, user.Invited},
}

// DemoFate refuses the mails of three people of the demo, as real servers do.
func DemoFate(_, to string, _ []byte) error {
	switch to {
	case "tomas.ferreira@acme.example":
		return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "mailbox full"}
	case "wei.chen@acme.example":
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "User unknown in virtual mailbox table"}
	case "siobhan.byrne@acme.example":
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, please try again in 300 seconds"}
	}
	return nil
}

// Seed fills a database with environment acme and the people of the demo, all or
// nothing. Where there is an acme it changes nothing. The invited get no mail,
// so that the first one in the inbox is one that somebody asked for.
func Seed(ctx context.Context, core *Core) error {
	if _, err := core.Settings.BySlug(ctx, DemoSlug); !fault.Is(err, fault.NotFound) {
		return err
	}
	// One hash serves all, salt included, which only a published password excuses:
	// a hash for each would make the start a second longer.
	hash, err := core.Hasher.Hash(ctx, DemoPassword)
	if err != nil {
		return fmt.Errorf("seed demo: %w", err)
	}
	err = core.DB.Update(ctx, func(tx *db.Tx) error {
		env, err := environment.Create(tx, DemoSlug, "Acme")
		if err != nil {
			return err
		}
		if err := audit.Record(tx, env.ID, audit.Event{Kind: audit.EnvironmentMade, Actor: access.Operator()}); err != nil {
			return err
		}
		operators, err := environment.ByID(tx, id.OperatorEnvironment)
		if err != nil {
			return err
		}
		if err := operator.create(tx, operators, hash); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
		for _, s := range samples {
			if err := s.create(tx, env, hash); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("seed demo: %w", err)
	}
	return nil
}

func (s sample) create(tx *db.Tx, env environment.Environment, hash string) error {
	email, err := address.Parse(s.email)
	if err != nil {
		return err
	}
	row := user.New{Email: email, Name: s.name, Role: s.role, State: s.state}
	if s.state != user.Invited {
		row.PasswordHash, row.PasswordShape = hash, password.Shape(hash)
	}
	u, err := user.Create(tx, env.ID, row)
	if err != nil {
		return err
	}
	made := audit.Event{Kind: audit.UserCreated, User: u.ID, Actor: access.Operator(), Detail: audit.Detail{"role": string(u.Role)}}
	if err := audit.Record(tx, env.ID, made); err != nil || s.state != user.Deactivated {
		return err
	}
	return audit.Record(tx, env.ID, audit.Event{Kind: audit.Deactivated, User: u.ID, Actor: access.Operator()})
}
