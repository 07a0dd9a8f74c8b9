package main

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

const (
	slug          = "bench"
	knownPassword = "plum-harbour-lantern-sixty-one"
	domain        = "bench.example"
)

// Fifty first and fifty last names make most users; a thousandth have a rare
// last name each of which few share.
var (
	firstNames = strings.Fields(`Ada Albert Amara Anna Anton Asha Beatrix Bruno Carla Cedric Chloe Clara Daniel
		Dora Edgar Elena Emil Esther Felix Fiona Frank Greta Hannah Hector Helga Igor Ines Ivan Jakob Joanna Jonas
		Julia Karim Klara Leila Leon Lydia Magnus Margaret Marta Nadia Nils Olga Oscar Paula Peter Rosa Simon Teresa Victor`)
	lastNames = strings.Fields(`Adams Bauer Becker Bergman Bishop Brandt Carter Castillo Cooper Dietrich Dubois Eriksen
		Fischer Foster Garcia Gruber Hansen Harper Hoffmann Ivanov Jansen Jensen Keller Kowalski Larsen Lehmann Lopez
		Martin Meyer Moreau Murphy Nielsen Novak Olsen Parker Petrov Richter Rossi Santos Schmidt Schulz Silva Sommer
		Svensson Taylor Ullmann Vogel Wagner Weber Zimmer`)
	rareNames = strings.Fields(`Quixleberry Thistlewhyte Oakenshottel Wimpleforth Grubenzahler Yarrowmickle
		Brackwaterly Knackerfuss Ploverdingen Zephyrowska`)
)

// person gives the n-th user's name.
func person(n int) string {
	if n%1000 == 500 {
		return firstNames[n%50] + " " + rareNames[n/1000%len(rareNames)]
	}
	// Every pair comes up before one comes twice.
	return firstNames[n%50] + " " + lastNames[(n/50+n)%50]
}

// emailOf gives the n-th user's address: known by its number alone.
func emailOf(n int) string { return fmt.Sprintf("person%07d@%s", n, domain) }

// strangerOf gives an address nobody has, as long as a known one.
func strangerOf(n int) string { return fmt.Sprintf("nobody%07d@%s", n, domain) }

const (
	adminEmail    = "admin@" + domain
	helpdeskEmail = "helpdesk@" + domain
)

// writeUsers makes the import file: all with the known password.
func writeUsers(path string, users int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buffered := bufio.NewWriter(f)
	w, hash := csv.NewWriter(buffered), phc(knownPassword)
	rows := [][]string{
		{"email", "name", "role", "password_hash"},
		{adminEmail, "The Admin", "client-admin", hash},
		{helpdeskEmail, "The Help Desk", "helpdesk", hash},
	}
	for _, row := range rows {
		if err := w.Write(row); err != nil {
			return err
		}
	}
	for n := range users {
		if err := w.Write([]string{emailOf(n), person(n), "member", hash}); err != nil {
			return err
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// phc hashes a password as the product does, in PHC form.
func phc(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it never fails
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, 1, hashBytes)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", hashMemory, hashTime, encode(salt), encode(sum))
}

// seed fills an empty installation and says how many users a second went in.
func (s *server) seed(users int) (perSecond float64, err error) {
	file := filepath.Join(s.folder, "users.csv")
	if err := writeUsers(file, users); err != nil {
		return 0, err
	}
	defer os.Remove(file)
	if _, err := s.command("environment", "create", slug, "--name", "Bench"); err != nil {
		return 0, err
	}
	started := time.Now()
	if _, err := s.command("user", "import", "--environment", slug, file); err != nil {
		return 0, err
	}
	return float64(users) / time.Since(started).Seconds(), nil
}

// signIn logs somebody in and gives the header line of the session's cookie
// alone: among the cookies set, the one that /session takes.
func (s *server) signIn(email string) (string, error) {
	c := newClient(s.address)
	defer c.close()
	a, err := c.post("/"+slug+"/login", "", form("email", email, "password", knownPassword))
	if err := expect(a, err, 303); err != nil {
		return "", fmt.Errorf("log in as %s: %w", email, err)
	}
	for _, pair := range a.cookies {
		header := cookieHeader(pair)
		if a, err := c.get("/"+slug+"/session", header); err == nil && a.status == 200 {
			return header, nil
		}
	}
	return "", fmt.Errorf("log in as %s: no cookie is a session", email)
}

func number(n int) string { return strconv.Itoa(n) }
