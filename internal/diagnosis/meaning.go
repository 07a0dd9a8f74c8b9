package diagnosis

import "time"

// meaning is what a class leads to.
type meaning struct {
	family   Family
	suppress bool            // writing there again is refused until somebody allows it
	retry    []time.Duration // when it is tried again, by the number of tries made; then it ends
}

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

var troubleRetries = []time.Duration{5 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 4 * hour}

var meanings = map[Class]meaning{
	NoSuchMailbox:         {FamilyAddress, true, []time.Duration{hour, 4 * hour, 12 * hour}},
	MailboxDisabled:       {FamilyAddress, true, []time.Duration{day, day, day}},
	MailboxMoved:          {FamilyAddress, true, nil},
	NoSuchDomain:          {FamilyAddress, true, []time.Duration{10 * minute, hour, 4 * hour}},
	DomainTakesNoMail:     {FamilyAddress, true, nil},
	MailboxFull:           {FamilyMailbox, false, []time.Duration{hour, 4 * hour, 12 * hour, day}},
	RefusedByRecipient:    {FamilyMailbox, false, nil},
	Suppressed:            {FamilyMailbox, true, nil},
	Complaint:             {FamilyMailbox, true, nil},
	RefusedReputation:     {FamilySender, false, []time.Duration{4 * hour, 12 * hour, day}},
	RefusedAuthentication: {FamilySender, false, []time.Duration{hour, 4 * hour, 12 * hour}},
	RefusedPolicy:         {FamilySender, false, []time.Duration{hour}},
	RelayDenied:           {FamilySender, false, []time.Duration{hour}},
	SenderRefused:         {FamilySender, false, []time.Duration{hour, 4 * hour}},
	OwnSetup:              {FamilyOurs, false, []time.Duration{minute, 5 * minute, 15 * minute, hour, 2 * hour, 4 * hour}},
	RefusedContent:        {FamilyContent, false, []time.Duration{minute}},
	TooLarge:              {FamilyContent, false, []time.Duration{minute}},
	Greylisted:            {FamilyTemporary, false, []time.Duration{5 * minute, 10 * minute, 20 * minute, 40 * minute, hour, hour, hour, hour}},
	RateLimited:           {FamilyTemporary, false, []time.Duration{15 * minute, 30 * minute, hour, 2 * hour}},
	ReceiverTrouble:       {FamilyTemporary, false, troubleRetries},
	Unreachable:           {FamilyTemporary, false, troubleRetries},
	TLSFailed:             {FamilyTemporary, false, []time.Duration{15 * minute, hour, 4 * hour}},
	GaveUp:                {FamilyTemporary, false, nil},
	Delayed:               {FamilyNone, false, nil},
	Delivered:             {FamilyNone, false, nil},
	AutoReply:             {FamilyNone, false, nil},
	Unknown:               {FamilyUnknown, false, troubleRetries},
	Forged:                {FamilyNone, false, nil},

	Queued:         {FamilyNone, false, nil},
	Deferred:       {FamilyTemporary, false, nil},
	Stuck:          {FamilyOurs, false, nil},
	NoMailServer:   {FamilyOurs, false, nil},
	AllServersDown: {FamilyOurs, false, nil},
	Accepted:       {FamilyNone, false, nil},
	NotOpened:      {FamilyNone, false, nil},
	ScannerOnly:    {FamilyNone, false, nil},
	Opened:         {FamilyNone, false, nil},
	FormRefused:    {FamilyNone, false, nil},
	Used:           {FamilyNone, false, nil},
	AskedElsewhere: {FamilyNone, false, nil},
	AskedTooOften:  {FamilyNone, false, nil},
}

// Family tells whose matter a class is.
func (c Class) Family() Family {
	if m, ok := meanings[c]; ok {
		return m.family
	}
	return FamilyUnknown
}

// Valid tells whether c is one of the classes.
func (c Class) Valid() bool { _, ok := meanings[c]; return ok }

// Suppresses tells whether mail to the address stops until somebody allows it.
func (f Finding) Suppresses() bool {
	switch f.Class {
	case Complaint, Suppressed:
		return true
	}
	return f.Hard && meanings[f.Class].suppress
}

// whatTheyName is added to the wait that a server names: clocks differ.
const whatTheyName = 20 * time.Second

// RetryAfter tells when to try again after so many tries, the last of which had
// this finding; false if trying again by ourselves is of no use. What a server
// names wins for the temporary classes.
func (f Finding) RetryAfter(tries int) (time.Duration, bool) {
	retry := meanings[f.Class].retry
	if f.Hard || tries < 1 || len(retry) == 0 {
		return 0, false
	}
	if f.Class.Family() == FamilyTemporary && f.ComeBack > 0 {
		return min(f.ComeBack, longestNamed) + whatTheyName, true
	}
	if tries <= len(retry) {
		return retry[tries-1], true
	}
	if f.Class.Family() == FamilyTemporary || f.Class == OwnSetup || f.Class == Unknown && f.Code < 500 {
		return retry[len(retry)-1], true // until the mail is too old to matter
	}
	return 0, false
}
