package password_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sparekey/sparekey/internal/fault"
	"github.com/sparekey/sparekey/internal/password"
)

const foreign = "Füße wärmen schön"

// hashesOfForeign were made by other implementations: libxcrypt, Python's
// hashlib and a WebAssembly build of argon2.
var hashesOfForeign = map[string]string{
	"$2a$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy":                                                                      "bcrypt$cost=4",
	"$2b$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy":                                                                      "bcrypt$cost=4",
	"$2y$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy":                                                                      "bcrypt$cost=4",
	"$2a$04$.OGB/.SE/ueHAeqKBO2NC.LLdXNkbZeezfRcvUnbV3.hS7odqo0FW":                                                                      "bcrypt$cost=4",
	"bcrypt$$2b$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy":                                                               "bcrypt$cost=4",
	"bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuzunhw0UpI3YPno0oDrJirNlPHingMri":                                                        "bcrypt-sha256$cost=4",
	"$argon2id$v=19$m=64,t=2,p=2$AQIDBAUGBwgJCgsMDQ4PEA$7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk":                                    "argon2id$m=64,t=2,p=2",
	"$argon2i$v=19$m=64,t=2,p=2$AQIDBAUGBwgJCgsMDQ4PEA$z3JmymGS/U4XiKcG6fH9U+ifhvlQmUA5/k96HeoCrRQ":                                     "argon2i$m=64,t=2,p=2",
	"$argon2d$v=19$m=64,t=2,p=2$AQIDBAUGBwgJCgsMDQ4PEA$6z7g3a0LsQsgYeozZzfwNfv6Xw1lCM33bdU7+qTMPig":                                     "argon2d$m=64,t=2,p=2",
	"argon2$argon2id$v=19$m=64,t=2,p=2$AQIDBAUGBwgJCgsMDQ4PEA$7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk":                              "argon2id$m=64,t=2,p=2",
	"$scrypt$ln=10,r=8,p=2$AQIDBAUGBwgJCgsMDQ4PEA$CeCw4hVIUdLQ1KtIhQoD1xMlE2oobGFhXwp1Kwqs+y0":                                          "scrypt$ln=10,r=8,p=2",
	"scrypt$1024$NaClSalt$8$5$YAlXCpitxc7qBQtuxkrXliNMhE39ygfZUei+iDHtjcMV21yg2LTMd/eP3N1iwf99Y+maUbOKV79ZXszJduiJ5Q==":                 "scrypt$ln=10,r=8,p=5",
	"$pbkdf2-sha1$i=1000,l=20$AQIDBAUGBwgJCgsMDQ4PEA$PfPKGmzTHtJikgXKaLXk1vD3uYc":                                                       "pbkdf2-sha1$i=1000,l=20",
	"$pbkdf2$1000$AQIDBAUGBwgJCgsMDQ4PEA$PfPKGmzTHtJikgXKaLXk1vD3uYc":                                                                   "pbkdf2-sha1$i=1000,l=20",
	"$pbkdf2-sha256$1000$AQIDBAUGBwgJCgsMDQ4PEA$tDFmvJI1tMl8xls2Cp/9mfcms42GjEuNp2LK6sbW3mU":                                            "pbkdf2-sha256$i=1000,l=32",
	"$pbkdf2-sha256$i=1000,l=40$AQIDBAUGBwgJCgsMDQ4PEA$tDFmvJI1tMl8xls2Cp/9mfcms42GjEuNp2LK6sbW3mVq/2kP3nAJxg":                          "pbkdf2-sha256$i=1000,l=40",
	"$pbkdf2-sha512$1000$AQIDBAUGBwgJCgsMDQ4PEA$EDAYRXgaPt6i/R0pwJdpIg0w7TwXlkcPagOGwIDUDA/ctult9envPA271VW91V58FZ0pDt59tJAXIye/PgGHLg": "pbkdf2-sha512$i=1000,l=64",
	"pbkdf2_sha1$1000$NaClSalt$EpMn659zP76cjQBBJxTiwxNLUiw=":                                                                            "pbkdf2-sha1$i=1000,l=20",
	"pbkdf2_sha256$1000$NaClSalt$zPCZSDJTPvBtZvFtVaAMAOT/KIv/90pTpmV5IWid5KA=":                                                          "pbkdf2-sha256$i=1000,l=32",
	"{SSHA}oWZrHzwvkcBveewSdGufn5R0oo4BAgMEBQYHCA==":                                                                                    "ssha",
	"{ssha256}xgjJ8/JEhL6FN6OcZBOL6V3SI8L7/r/no1x4WUxl8ngBAgMEBQYHCA==":                                                                 "ssha256",
	"{SSHA512}hGHtJs4BotgpWVYgz0olkNwIMoJKgD5dLxwzUAxiUrAHRRiT27z9nCWRN+zYIujBlIPrkfar4iVrOnkWWUBx8QECAwQFBgcI":                         "ssha512",
}

func TestImportedHashesVerifyAndAskForUpgrade(t *testing.T) {
	t.Parallel()
	h := quick()
	for encoded, shape := range hashesOfForeign {
		canonical, err := password.Import(encoded)
		require.NoError(t, err, encoded)
		require.Equal(t, shape, password.Shape(canonical))
		again, err := password.Import(canonical)
		require.NoError(t, err, canonical)
		require.Equal(t, canonical, again)

		got, err := h.Verify(t.Context(), foreign, canonical)
		require.NoError(t, err)
		require.Equal(t, password.Result{OK: true, Upgrade: true}, got, canonical)
		for _, wrong := range []string{"Fusse warmen schon", foreign + " ", foreign + "\x00", foreign[:len(foreign)-1], ""} {
			got, err = h.Verify(t.Context(), wrong, canonical)
			require.NoError(t, err)
			require.Equal(t, password.Result{}, got, canonical)
		}
	}
}

// The example that Firebase publishes with its own tool.
func TestFirebaseHashVerifies(t *testing.T) {
	t.Parallel()
	canonical, err := password.Import("$firebase-scrypt$ln=14,r=8$42xEC+ixf3L2lw==$Bw==" +
		"$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==" +
		"$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==")
	require.NoError(t, err)
	require.Equal(t, "firebase-scrypt$ln=14,r=8,p=1", password.Shape(canonical))
	got, err := quick().Verify(t.Context(), "user1password", canonical)
	require.NoError(t, err)
	require.Equal(t, password.Result{OK: true, Upgrade: true}, got)
	got, err = quick().Verify(t.Context(), "user2password", canonical)
	require.NoError(t, err)
	require.Equal(t, password.Result{}, got)
}

func TestPasswordThatWasHashedAsTypedVerifies(t *testing.T) {
	t.Parallel()
	// SHA-1 over a decomposed é, as a system without normalising stored it.
	canonical, err := password.Import("{SSHA}Wb1/YtVJAvV497rVv8Gy9TWUgtABAgMEBQYHCA==")
	require.NoError(t, err)
	got, err := quick().Verify(t.Context(), "cafe\u0301 au lait", canonical)
	require.NoError(t, err)
	require.Equal(t, password.Result{OK: true, Upgrade: true}, got)
}

func TestBcryptNeverVerifiesATruncation(t *testing.T) {
	t.Parallel()
	h := quick()
	const seventyTwo = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe" // of 72 times "a"
	for n, want := range map[int]bool{71: false, 72: true, 73: false, 100: false, 256: false} {
		got, err := h.Verify(t.Context(), strings.Repeat("a", n), seventyTwo)
		require.NoError(t, err)
		require.Equal(t, want, got.OK, n)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	const salt, sum = "AQIDBAUGBwgJCgsMDQ4PEA", "7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk"
	for name, encoded := range map[string]string{
		"nothing":               "",
		"plain text":            "hunter2",
		"MD5":                   "5f4dcc3b5aa765d61d8327deb882cf99",
		"crypt MD5":             "$1$abc$defghijklmnopqrstuvwx.",
		"unsalted SHA":          "{SHA}oWZrHzwvkcBveewSdGufn5R0oo4=",
		"LDAP clear text":       "{CLEARTEXT}secret",
		"LDAP without end":      "{SSHA",
		"LDAP cut":              "{SSHA}oWZrHzwvkcBveewSdGufn5R0",
		"LDAP without salt":     "{SSHA}oWZrHzwvkcBveewSdGufn5R0oo4=",
		"bcrypt 2x":             "$2x$04$abcdefghijklmnopqrstuuWWm6zqX0JqJsYVZEEYmCIzeZ3LP41SG",
		"bcrypt cut":            "$2b$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbix",
		"bcrypt longer":         "$2b$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixyy",
		"bcrypt alphabet":       "$2b$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbix+",
		"bcrypt inner alphabet": "$2b$04$abcdefghijklmn*pqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy",
		"bcrypt cost 0":         "$2b$00$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy",
		"bcrypt cost sign":      "$2b$+4$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy",
		"bcrypt trailing":       "$2b$04$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy$",
		"argon2 old version":    "$argon2id$v=16$m=64,t=2,p=2$" + salt + "$" + sum,
		"argon2 no version":     "$argon2id$m=64,t=2,p=2$" + salt + "$" + sum,
		"argon2 zero":           "$argon2id$v=19$m=0,t=2,p=2$" + salt + "$" + sum,
		"argon2 negative":       "$argon2id$v=19$m=64,t=-2,p=2$" + salt + "$" + sum,
		"argon2 little memory":  "$argon2id$v=19$m=15,t=2,p=2$" + salt + "$" + sum,
		"argon2 twice":          "$argon2id$v=19$m=64,m=64,p=2$" + salt + "$" + sum,
		"argon2 short sum":      "$argon2id$v=19$m=64,t=2,p=2$" + salt + "$7hh0",
		"argon2 no sum":         "$argon2id$v=19$m=64,t=2,p=2$" + salt + "$",
		"argon2 no salt":        "$argon2id$v=19$m=64,t=2,p=2$$" + sum,
		"argon2 line break":     "$argon2id$v=19$m=64,t=2,p=2$" + salt + "$\n" + sum,
		"argon2 trailing":       "$argon2id$v=19$m=64,t=2,p=2$" + salt + "$" + sum + "$",
		"argon2 stray bits":     "$argon2id$v=19$m=64,t=2,p=2$" + salt + "$" + sum[:42] + "l",
		"scrypt zero":           "$scrypt$ln=0,r=8,p=1$" + salt + "$" + sum,
		"Django N":              "scrypt$1000$NaClSalt$8$5$" + sum,
		"Django N zero":         "scrypt$0$NaClSalt$8$5$" + sum,
		"Django unknown":        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
		"Django rounds":         "pbkdf2_sha256$$NaClSalt$" + sum,
		"Django argon2 alone":   "argon2$",
		"Django bcrypt alone":   "bcrypt$",
		"Django bcrypt half":    "bcrypt_sha256$$2b",
		"PBKDF2 length":         "$pbkdf2-sha256$i=1000,l=31$" + salt + "$" + sum,
		"Firebase cut":          "$firebase-scrypt$ln=14,r=8$42xEC+ixf3L2lw==$Bw==$" + sum,
		"Firebase other length": "$firebase-scrypt$ln=14,r=8$42xEC+ixf3L2lw==$Bw==$" + salt + "$" + sum,
	} {
		_, err := password.Import(encoded)
		require.True(t, fault.Is(err, fault.Invalid), name)
		require.Equal(t, "password_hash", fault.As(err).Fields[0].Name)
		if encoded != "" {
			require.NotContains(t, err.Error(), encoded)
		}
		got, err := quick().Verify(t.Context(), foreign, encoded)
		require.NoError(t, err, name)
		require.Equal(t, password.Result{}, got, name)
	}
}

func TestCostIsCappedBeforeAnyWork(t *testing.T) {
	t.Parallel()
	const salt, sum = "AQIDBAUGBwgJCgsMDQ4PEA", "7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk"
	const bcryptRest = "$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy"
	tail := "$" + salt + "$" + sum
	h := quick()
	for _, encoded := range []string{
		"$argon2id$v=19$m=8388608,t=1,p=1" + tail,
		"$argon2id$v=19$m=4294967296,t=1,p=1" + tail,
		"$argon2i$v=19$m=65536,t=1000,p=1" + tail,
		"$argon2id$v=19$m=8,t=4294967295,p=1" + tail,
		"$argon2d$v=19$m=65536,t=1,p=255" + tail,
		"$argon2d$v=19$m=65536,t=1,p=256" + tail,
		"$argon2id$v=19$m=99999999999999999999,t=1,p=1" + tail,
		"$scrypt$ln=31,r=8,p=1" + tail,
		"$scrypt$ln=63,r=8,p=1" + tail,
		"$scrypt$ln=14,r=1024,p=1" + tail,
		"$scrypt$ln=17,r=8,p=64" + tail,
		"$scrypt$ln=1,r=1,p=9999999999" + tail,
		"scrypt$2147483648$NaClSalt$8$1$" + sum,
		"$pbkdf2-sha256$1000000000" + tail,
		"$pbkdf2-sha1$i=1500000,l=32" + tail,
		"pbkdf2_sha256$1000000000$NaClSalt$" + sum,
		"$2b$15" + bcryptRest, "$2b$20" + bcryptRest, "$2b$31" + bcryptRest, "$2b$99" + bcryptRest,
		"bcrypt_sha256$$2b$31" + bcryptRest,
		"$firebase-scrypt$ln=30,r=8$" + salt + "$Bw==$" + sum + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("AAAA", 250000) + "$" + sum,
		"pbkdf2_sha256$1000$" + strings.Repeat("a", 200) + "$" + sum,
		"{SSHA}" + strings.Repeat("AAAA", 250000),
	} {
		within(t, 50*time.Millisecond, func() { // 10 on a quiet machine
			_, err := password.Import(encoded)
			require.True(t, fault.Is(err, fault.Invalid))
			require.Contains(t, err.Error(), "too much")
			got, verifyErr := h.Verify(t.Context(), foreign, encoded)
			require.NoError(t, verifyErr)
			require.Equal(t, password.Result{}, got)
			require.NoError(t, h.VerifyDecoy(t.Context(), foreign, password.Shape(encoded)))
		})
	}
}

func TestUsualCostsAreAccepted(t *testing.T) {
	t.Parallel()
	const tail = "$AQIDBAUGBwgJCgsMDQ4PEA$7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk"
	for _, encoded := range []string{
		"$argon2id$v=19$m=65536,t=3,p=4" + tail,
		"argon2$argon2id$v=19$m=102400,t=2,p=8" + tail,
		"$argon2id$v=19$m=7168,t=5,p=1" + tail,
		"$scrypt$ln=17,r=8,p=1" + tail,
		"$pbkdf2-sha1$i=1400000,l=20$AQIDBAUGBwgJCgsMDQ4PEA$PfPKGmzTHtJikgXKaLXk1vD3uYc",
		"pbkdf2_sha256$1200000$NaClSalt$zPCZSDJTPvBtZvFtVaAMAOT/KIv/90pTpmV5IWid5KA=",
		"$2y$14$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy",
	} {
		_, err := password.Import(encoded)
		require.NoError(t, err, encoded)
	}
}

func TestDecoyDoesTheWorkOfItsShape(t *testing.T) {
	t.Parallel()
	h := quick()
	for _, encoded := range []string{
		"$argon2id$v=19$m=2048,t=2,p=1$AQIDBAUGBwgJCgsMDQ4PEA$7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk",
		"$argon2d$v=19$m=2048,t=2,p=1$AQIDBAUGBwgJCgsMDQ4PEA$7hh0q8NNW5IHuadWRY0bd7vvVGPNzFIk+QTwiEeEzAk",
		"$2b$06$abcdefghijklmnopqrstuu69pcBHyqWh1RbCP4LXMzJ29D40Tbixy",
		"bcrypt_sha256$$2b$06$abcdefghijklmnopqrstuuzunhw0UpI3YPno0oDrJirNlPHingMri",
		"$scrypt$ln=10,r=8,p=1$AQIDBAUGBwgJCgsMDQ4PEA$CeCw4hVIUdLQ1KtIhQoD1xMlE2oobGFhXwp1Kwqs+y0",
		"$pbkdf2-sha256$8000$AQIDBAUGBwgJCgsMDQ4PEA$tDFmvJI1tMl8xls2Cp/9mfcms42GjEuNp2LK6sbW3mU",
	} {
		for _, plain := range []string{foreign, strings.Repeat("a", 73), strings.Repeat("é", 256), "cafe\u0301"} {
			// The quickest of some: a busy machine needs more of them, and a path
			// that skips the work is never as slow.
			verify, decoy := time.Hour, time.Second
			for i := 0; i < 50 && (decoy >= 4*verify || verify >= 4*decoy); i++ {
				began := time.Now()
				got, err := h.Verify(t.Context(), plain, encoded)
				require.NoError(t, err)
				require.False(t, got.OK)
				verify = min(verify, time.Since(began))
				began = time.Now()
				require.NoError(t, h.VerifyDecoy(t.Context(), plain, password.Shape(encoded)))
				decoy = min(decoy, time.Since(began))
			}
			require.Less(t, decoy, 4*verify, "%s", encoded)
			require.Less(t, verify, 4*decoy, "%s", encoded)
		}
	}
}
