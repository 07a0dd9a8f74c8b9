package password

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var fuzzSeeds = []string{
	"$2b$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy",
	"bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuzunhw0UpI3YPno0oDrJirNlPHingMri",
	"$argon2id$v=19$m=64,t=2,p=2$AQIDBAUGBwgJCgsMDQ4PEA$7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk",
	"argon2$argon2d$v=19$m=64,t=2,p=2$AQIDBAUGBwgJCgsMDQ4PEA$6z7g3a0LsQsgYeozZzfwNfv6Xw1lCM33bdU7+qTMPig",
	"$scrypt$ln=4,r=8,p=2$AQIDBAUGBwgJCgsMDQ4PEA$CeCw4hVIUdLQ1KtIhQoD1xMlE2oobGFhXwp1Kwqs+y0",
	"scrypt$16$NaClSalt$8$5$YAlXCpitxc7qBQtuxkrXliNMhE39ygfZUei+iDHtjcMV21yg2LTMd/eP3N1iwf99Y+maUbOKV79ZXszJduiJ5Q==",
	"$pbkdf2-sha256$i=10,l=40$AQIDBAUGBwgJCgsMDQ4PEA$tDFmvJI1tMl8xls2Cp/9mfcms42GjEuNp2LK6sbW3mVq/2kP3nAJxg",
	"pbkdf2_sha1$10$NaClSalt$EpMn659zP76cjQBBJxTiwxNLUiw=",
	"$firebase-scrypt$ln=4,r=8$42xEC+ixf3L2lw$Bw$tDFmvJI1tMl8xls2Cp/9mfcms42GjEuNp2LK6sbW3mU$tDFmvJI1tMl8xls2Cp/9mfcms42GjEuNp2LK6sbW3mU",
	"{SSHA}oWZrHzwvkcBveewSdGufn5R0oo4BAgMEBQYHCA==",
	"{SSHA512}hGHtJs4BotgpWVYgz0olkNwIMoJKgD5dLxwzUAxiUrAHRRiT27z9nCWRN+zYIujBlIPrkfar4iVrOnkWWUBx8QECAwQFBgcI",
}

// cheap keeps the fuzzer from spending its time on hashes that are allowed to be slow.
func cheap(d *digest) bool {
	switch d.alg {
	case bcryptPlain, bcryptSHA256:
		return d.cost[0] == 4
	case scryptPlain, scryptFirebase:
		return d.cost[0] < 8 && d.cost[1]*d.cost[2] < 100
	}
	return d.cost[0] < 100 && d.cost[1] < 50
}

// FuzzVerify: whatever is stored, nothing panics, and a password of which no
// stored text was made is not accepted.
func FuzzVerify(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add(seed, "no stored text was made of this")
		f.Add(seed[:len(seed)/2], strings.Repeat("é", 40))
	}
	h := NewHasher(Options{Memory: 8, Time: 1, MaxWait: time.Minute})
	f.Fuzz(func(t *testing.T, encoded, plain string) {
		if d, err := parse(encoded); err == nil && !cheap(d) {
			return
		}
		got, err := h.Verify(t.Context(), plain+" and a tail nobody hashed", encoded)
		if err != nil || got.OK || got.Upgrade {
			t.Fatalf("%q: %v, %v", encoded, got, err)
		}
		if err := h.VerifyDecoy(t.Context(), plain, Shape(encoded)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNoChangedByteLetsAnotherPasswordIn(t *testing.T) {
	t.Parallel()
	h := NewHasher(Options{Memory: 8, Time: 1, MaxWait: time.Minute})
	for _, seed := range fuzzSeeds {
		for at := range seed {
			for _, b := range []byte{0, '$', '=', '.', '0', 'A', 'z', 0xff} {
				changed := seed[:at] + string([]byte{b}) + seed[at+1:]
				if d, err := parse(changed); err == nil && !cheap(d) {
					continue
				}
				got, err := h.Verify(t.Context(), "three unrelated words", changed)
				if err != nil || got.OK {
					t.Fatalf("%q: %v, %v", changed, got, err)
				}
			}
		}
	}
}

// FuzzImport: what is accepted has a canonical text that is accepted, too, stands
// for the same digest and has a shape that a decoy can be made of.
func FuzzImport(f *testing.F) {
	for _, seed := range fuzzSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		canonical, err := Import(encoded)
		if err != nil {
			return
		}
		again, err := Import(canonical)
		if err != nil || again != canonical || Shape(encoded) != Shape(canonical) {
			t.Fatalf("%q gave %q, then %q: %v", encoded, canonical, again, err)
		}
		d, err := decoy(Shape(canonical))
		if err != nil || d.shape() != Shape(canonical) {
			t.Fatalf("no decoy for %q: %v", Shape(canonical), err)
		}
	})
}

// FuzzPassword: normalising twice changes nothing more, limits hold, and the
// policy and hash agree on what is a password at all.
func FuzzPassword(f *testing.F) {
	for _, seed := range []string{"three unrelated words", "cafe\u0301\u00a0", "👨‍👩‍👧", "a\x00b", "\xff", strings.Repeat("e\u0301", 300), strings.Repeat("\u0301", 100)} {
		f.Add(seed, "Jane Doe")
	}
	f.Fuzz(func(t *testing.T, plain, context string) {
		policyErr := Check(plain, Policy{Context: []string{context}})
		normal, err := Normalise(plain)
		if err != nil {
			if normal != "" || policyErr == nil {
				t.Fatalf("refused %q is accepted elsewhere", plain)
			}
			return
		}
		again, err := Normalise(normal)
		if err != nil || again != normal || utf8.RuneCountInString(normal) > MaxLength || len(normal) > 4*MaxLength {
			t.Fatalf("%q gave %q, then %q: %v", plain, normal, again, err)
		}
	})
}
