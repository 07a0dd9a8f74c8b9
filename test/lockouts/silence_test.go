package lockouts

import (
	"net/http"
	"time"
)

const libraryAgent = "python-requests/2.32"

// silence: their server took the mail, and Jane has not come.
var silence = []lockout{
	{Cause: "The mail lies in the spam folder", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		link := s.getsTheMail() // where she does not look
		s.waits(11 * time.Minute)
		d := s.adminReads("Their server took it at TIME; nobody has opened the link. It may be in spam or quarantine.").follows(s.name)
		d.copiesTheText("Text to send to Jane Doe", "Subject: Reset your password · Acme")
		s.getsInBy(link)
	}},
	{Cause: "The mail lies in a quarantine nobody can open", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		s.getsTheMail()
		s.waits(11 * time.Minute)
		s.adminReads("Their server took it at TIME; nobody has opened the link. It may be in spam or quarantine.")
		s.getsInBy(s.adminGivesALink())
	}},
	{Cause: "Jane asks three times and opens nothing", Run: func(s *scene) {
		for range 3 {
			s.asks()
			s.getsTheMail()
		}
		s.readsTheWaitingPage()
		s.waits(11 * time.Minute)
		s.getsInBy(s.adminHelpsFromTheQueue("Their server took it at TIME; nobody has opened the link. It may be in spam or quarantine."))
	}},
	{Cause: "A link scanner opened the link first (HEAD, then a program)", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		link := s.getsTheMail()
		scanner := s.Browser()
		scanner.Agent = libraryAgent
		scanner.Do(http.MethodHead, link, nil)
		scanner.Get(link)
		s.waits(13 * time.Minute)
		d := s.adminReads("A security filter of acme.example seems to have opened the link at TIME; Jane Doe has not. The link still works.").follows(s.name)
		d.copiesTheText("Text to send to Jane Doe", "Subject: Reset your password · Acme")
		s.getsInBy(link)
	}},
	{Cause: "A scanner that names itself opened it, and Jane comes at once", Run: func(s *scene) {
		s.asks()
		link := s.getsTheMail()
		scanner := s.Browser()
		scanner.Agent = "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))"
		for range 3 {
			scanner.Get(link)
		}
		s.opens(link, "Set a new password")
		s.getsInBy(link)
	}},
	{Cause: "Jane opened the link, and was called away", Run: func(s *scene) {
		s.asks()
		s.readsTheWaitingPage()
		link := s.getsTheMail()
		s.waits(3 * time.Minute)
		s.opens(link, "Set a new password")
		s.waits(6 * time.Minute)
		d := s.adminReads("Link opened").follows(s.name).reads("Jane Doe opened the link at TIME but has not set a password.")
		s.getsInBy(d.presses("Give a link by phone").copies())
	}},
}
