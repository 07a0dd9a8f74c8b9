package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"
)

const racers = 64

var (
	linkPattern      = regexp.MustCompile(`/` + slug + `/reset-password/([0-9A-Za-z]{40})`)
	operationPattern = regexp.MustCompile(`name="operation"[^>]*value="([^"]*)"`)
)

// measureRace: 64 clients open one reset link, then all post a password of their
// own at once. Exactly one may win, and only its password may log in.
func (b *bench) measureRace() error {
	rounds := 10
	if b.quick {
		rounds = 2
	}
	b.quiet()
	b.sink.keepTexts(true)
	defer b.sink.keepTexts(false)
	won, statuses := 0, map[int]int{}
	for round := range rounds {
		winners, err := b.raceOnce(emailOf(round), round, statuses)
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if winners == 1 {
			won++
		}
	}
	b.report.add(row{
		Operation: fmt.Sprintf("one link posted by %d clients at once", racers), Figure: fmt.Sprintf("exactly one won in %d of %d rounds; answers %v", won, rounds, statuses),
		Target: "always one", Verdict: verdict(won == rounds), Numbers: map[string]float64{"rounds": float64(rounds), "one_winner": float64(won)},
	})
	return nil
}

func racePassword(round, racer int) string {
	return fmt.Sprintf("kestrel-orchard-%03d-window-%03d", round, racer)
}

func (b *bench) raceOnce(email string, round int, statuses map[int]int) (winners int, err error) {
	link, err := b.mailedLink(email)
	if err != nil {
		return 0, err
	}
	clients, operations := make([]*client, racers), make([]string, racers)
	for i := range clients {
		clients[i] = newClient(b.server.address)
		defer clients[i].close()
		if operations[i], err = openLink(clients[i], link); err != nil {
			return 0, err
		}
	}
	answers, errs := make([]answer, racers), make([]error, racers)
	gate := make(chan struct{})
	var running sync.WaitGroup
	for i, c := range clients {
		f := form("operation", operations[i], "password", racePassword(round, i))
		running.Go(func() {
			<-gate
			answers[i], errs[i] = c.post(link, "", f)
		})
	}
	close(gate)
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	winner := -1
	for i, a := range answers {
		statuses[a.status]++
		if a.status == 303 {
			winners, winner = winners+1, i
		}
	}
	if winners != 1 {
		return winners, nil
	}
	return winners, b.onlyWinnerLogsIn(email, round, winner)
}

// mailedLink asks for a mail and gives the path of the link in it.
func (b *bench) mailedLink(email string) (string, error) {
	b.sink.forget()
	c := newClient(b.server.address)
	defer c.close()
	if err := ask(c, email); err != nil {
		return "", err
	}
	got, ok := b.sink.await(email, 15*time.Second)
	if !ok {
		return "", errors.New("the mail did not come")
	}
	text := bytes.ReplaceAll(got.text, []byte("=\r\n"), nil) // quoted-printable's soft breaks
	found := linkPattern.Find(text)
	if found == nil {
		return "", errors.New("the mail has no link")
	}
	return string(found), nil
}

// openLink gives the operation id in the form behind the link.
func openLink(c *client, link string) (string, error) {
	a, err := c.get(link, "")
	if err := expect(a, err, 200); err != nil {
		return "", fmt.Errorf("open the link: %w", err)
	}
	found := operationPattern.FindSubmatch(a.body)
	if found == nil {
		return "", errors.New("the reset page has no operation")
	}
	return string(found[1]), nil
}

func (b *bench) onlyWinnerLogsIn(email string, round, winner int) error {
	c := newClient(b.server.address)
	defer c.close()
	for i, want := range map[int]int{winner: 303, (winner + 1) % racers: 422, (winner + racers - 1) % racers: 422} {
		a, err := c.post("/"+slug+"/login", "", form("email", email, "password", racePassword(round, i)))
		if err := expect(a, err, want); err != nil {
			return fmt.Errorf("log in with the password of racer %d (the winner is %d): %w", i, winner, err)
		}
	}
	return nil
}
