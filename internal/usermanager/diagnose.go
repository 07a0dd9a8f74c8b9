package usermanager

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sparekey/sparekey/internal/access"
	"github.com/sparekey/sparekey/internal/db"
	"github.com/sparekey/sparekey/internal/diagnosis"
	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/id"
	"github.com/sparekey/sparekey/internal/story"
	"github.com/sparekey/sparekey/internal/token"
	"github.com/sparekey/sparekey/internal/user"
)

// Look is one opening of a link and the guess who looked.
type Look struct {
	token.Look
	Guess diagnosis.Guess
}

// elsewhereFor is how long an asking with another address is worth a word.
const elsewhereFor = 24 * time.Hour

// Named is a time as a sentence names it.
type Named struct {
	At    time.Time
	Words string
}

// diagnosed is a diagnosis, the times it names, and whether the address gets mail
// at all.
type diagnosed struct {
	diagnosis.Diagnosis
	times      []Named
	suppressed bool
}

// diagnose says of each of these users how the newest recovery stands. For one
// alone it also looks whether somebody asked with another address.
func (m *UserManager) diagnose(tx *db.Tx, env environment.Environment, users []user.User) (map[id.User]diagnosed, error) {
	servers, err := m.Servers(tx)
	if err != nil {
		return nil, err
	}
	people := make([]story.Person, len(users))
	for i, u := range users {
		people[i] = story.Person{ID: u.ID, Name: u.Name, Email: u.Email, EmailKey: u.EmailKey, LastSignInAt: u.LastSignInAt}
	}
	stories, err := story.Of(tx, env, people, servers)
	if err != nil {
		return nil, err
	}
	if len(users) == 1 {
		if err := askedElsewhere(tx, env.ID, users[0], stories); err != nil {
			return nil, err
		}
	}
	all := map[id.User]diagnosed{}
	for _, u := range users {
		if s, ok := stories[u.ID]; ok {
			told := diagnosed{suppressed: s.Suppressed != nil}
			s.Guess, s.Write = likelyAddress(u), func(t time.Time) string {
				told.times = append(told.times, Named{t, clockWords(t, tx.Now())})
				return told.times[len(told.times)-1].Words
			}
			told.Diagnosis = diagnosis.Judge(s, tx.Now())
			all[u.ID] = told
		}
	}
	return all, nil
}

// clockWords writes a time of today without its date.
func clockWords(t, now time.Time) string {
	t = t.UTC()
	if t.Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return t.Format("15:04 UTC")
	}
	return t.Format("15:04 UTC on 2 January")
}

// askedElsewhere adds the newest asking of the last day for an address that is
// nobody's and near the user's own, unless the user asked rightly since.
func askedElsewhere(tx *db.Tx, env id.Environment, u user.User, stories map[id.User]diagnosis.Story) error {
	strays, err := newestUnmatched(tx, env, elsewhereFor)
	if err != nil {
		return err
	}
	former, err := db.All[string](tx, "SELECT address_key FROM former_addresses WHERE environment_id = $1 AND user_id = $2", env, u.ID)
	if err != nil {
		return err
	}
	s, ok := stories[u.ID]
	for _, stray := range strays {
		if cost, _ := compare(stray.Key, u.EmailKey); cost >= tooFar && !slices.Contains(former, stray.Key) {
			continue
		}
		if !ok {
			s = diagnosis.Story{Name: u.Name, Address: u.Email}
		}
		if len(s.Mails) == 0 || s.Mails[0].QueuedAt.Before(stray.LastAt) {
			s.AskedElsewhere = &diagnosis.Elsewhere{Address: stray.Address, At: stray.LastAt}
			stories[u.ID] = s
		}
		return nil
	}
	return nil
}

// mailboxProviders are the mail domains that people mistype most.
var mailboxProviders = []string{
	"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "aol.com", "gmx.de", "gmx.net",
	"web.de", "t-online.de", "orange.fr", "free.fr", "laposte.net", "libero.it", "protonmail.com", "proton.me", "qq.com", "163.com",
	"mail.ru", "yandex.ru", "comcast.net", "verizon.net", "btinternet.com", "hotmail.co.uk", "yahoo.co.uk", "hotmail.fr", "yahoo.fr",
}

// neighbours are real mail domains that come near one of them.
var neighbours = []string{
	"mail.com", "email.com", "ymail.com", "gmx.com", "gmx.at", "gmx.ch", "gmx.fr", "yahoo.ca", "yahoo.de", "yahoo.in", "yahoo.it", "yahoo.es",
	"live.ca", "live.de", "live.fr", "live.nl", "live.cn", "bol.com", "hotmail.de", "hotmail.es", "hotmail.it", "outlook.de", "outlook.fr",
	"outlook.es", "aol.de", "aim.com", "me.com", "mac.com", "web.com", "126.com", "139.com", "189.cn", "bk.ru", "list.ru", "inbox.ru", "ya.ru",
	"yandex.com", "yandex.kz", "free.com", "libero.com", "iol.it", "sky.com", "orange.com", "orange.pl", "pm.me", "protonmail.ch",
}

// likelyAddress gives what an address was probably meant to be, or "": its domain
// is a letter or two away from a large one, or the part before the @ from the
// person's own name.
func likelyAddress(u user.User) string {
	local, domain, _ := strings.Cut(u.EmailKey, "@")
	for _, known := range mailboxProviders {
		if domain == known || slices.Contains(neighbours, domain) || slices.Contains(mailboxProviders, domain) {
			break
		}
		if d := distance(domain, known); d == 1 || d == 2 && len(known) > 8 {
			return local + "@" + known
		}
	}
	words := strings.Fields(onlyLetters(folding.Fold(u.Name)))
	if len(words) < 2 || strings.ContainsFunc(u.Name, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) }) {
		return "" // how an address writes ü or ß, a name does not tell
	}
	first, last := words[0], words[len(words)-1]
	forms := []string{first + "." + last, first + last, last + "." + first, first[:1] + "." + last, first + "_" + last, first + "-" + last}
	if slices.Contains(forms, local) || slices.Contains(words, local) || strings.HasPrefix(last, local) || strings.HasPrefix(first, local) {
		return ""
	}
	for _, form := range forms {
		if d := distance(local, form); d <= 2 && len(form) > 6 {
			return form + "@" + domain
		}
	}
	return ""
}

// onlyLetters leaves out what stands in names and hardly ever in addresses.
func onlyLetters(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || unicode.IsLetter(r) {
			return r
		}
		return -1
	}, name)
}

// readLooks adds the openings of the links and says of each who it was, and of
// each link when first a person and first a scanner came.
func (d *Details) readLooks(tx *db.Tx, env id.Environment, links []token.Link) error {
	ids := make([]string, len(links))
	for i, l := range links {
		ids[i] = l.ID
	}
	found, err := token.Looks(tx, env, ids)
	if err != nil {
		return err
	}
	of := map[string][]diagnosis.Open{}
	for _, l := range found {
		of[l.Link] = append(of[l.Link], story.Open(l))
	}
	accepted := map[string]time.Time{}
	for _, m := range d.Messages {
		if m.link != "" {
			accepted[m.link] = m.AcceptedAt
		}
	}
	first := map[string]*Link{}
	for i := range d.Links {
		first[d.Links[i].Ref] = &d.Links[i]
	}
	cleared := map[string]bool{}
	for _, l := range found {
		line := first[token.Ref(token.Link{ID: l.Link})]
		around := diagnosis.Around{AcceptedAt: accepted[l.Link], Opens: of[l.Link], Now: tx.Now()}
		if line != nil && line.Verdict == token.Used {
			around.FormAt = line.EndedAt
		}
		guess := diagnosis.Look(story.Open(l), around)
		d.Looks = append(d.Looks, Look{Look: l, Guess: guess})
		if line == nil {
			continue
		}
		if !cleared[line.Ref] { // what the openings say counts more than the first impression
			line.OpenedAt, line.ScannedAt, cleared[line.Ref] = time.Time{}, time.Time{}, true
		}
		switch {
		case guess.By == diagnosis.ByScanner && line.ScannedAt.IsZero():
			line.ScannedAt = l.At
		case guess.By != diagnosis.ByScanner && line.OpenedAt.IsZero():
			line.OpenedAt = l.At
		}
	}
	return nil
}

// TakenBefore is how long before a look a server had taken the link's mail; 0 if
// none had.
func (d Details) TakenBefore(l Look) time.Duration {
	for _, m := range d.Messages {
		if m.link == l.Link && !m.AcceptedAt.IsZero() {
			return l.At.Sub(m.AcceptedAt)
		}
	}
	return 0
}

// CanAllowMail tells whether the actor may let mail go to the address again.
func (r Row) CanAllowMail(actor access.Actor, env environment.Environment) bool {
	return access.MayOn(actor, env.ID, access.AllowMail, r.User.Target())
}
