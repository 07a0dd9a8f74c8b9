package main

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain: the run starts its own program as children, and here that is the test.
func TestMain(m *testing.M) {
	if what := os.Getenv(childVariable); what != "" {
		runChild(what)
		return
	}
	os.Exit(m.Run())
}

func TestClientReadsWhatServersSend(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /short", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "short") })
	mux.HandleFunc("GET /chunked", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			fmt.Fprint(w, long)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("GET /close", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "2")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
		http.Redirect(w, r, "/to/"+r.FormValue("email"), http.StatusSeeOther)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	c := newClient(server.Listener.Addr().String())
	defer c.close()
	for range 2 { // the second time after a close
		for path, want := range map[string]string{"/short": "short", "/chunked": long + long + long, "/close": ""} {
			a, err := c.get(path, "")
			if err := expect(a, err, 200); err != nil || string(a.body) != want {
				t.Fatalf("%s: %v, %d bytes", path, err, len(a.body))
			}
		}
	}
	a, err := c.post("/form", "", form("email", "a+b@c.example"))
	if err := expect(a, err, 303); err != nil {
		t.Fatal(err)
	}
	if a.location != "/to/a+b@c.example" || strings.Join(a.cookies, " ") != "a=1 b=2" || a.retry != 2*time.Second {
		t.Errorf("%+v", a)
	}
	if a, err := c.get("/nowhere", ""); expect(a, err, 200) == nil {
		t.Error("404 passed for 200")
	}
}

func TestClientTriesAgainOnlyWhenNothingWasAnswered(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer server.Close()
	c := newClient(server.Listener.Addr().String())
	defer c.close()
	if a, err := c.get("/", ""); expect(a, err, 200) != nil {
		t.Fatal(err)
	}
	server.CloseClientConnections() // as a server does with an idle connection
	if a, err := c.get("/", ""); expect(a, err, 200) != nil {
		t.Errorf("after the server closed the kept connection: %v", err)
	}
}

func TestDriveCountsAndStops(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer server.Close()
	address := server.Listener.Addr().String()
	o := drive(address, load{clients: 4, count: 100}, func(c *client, n int) error {
		a, err := c.get("/", "")
		switch {
		case n%10 == 0:
			return errRefused
		case n%10 == 1:
			return expect(a, err, 201)
		}
		return expect(a, err, 200)
	})
	if o.done != 80 || o.failed != 10 || o.refused != 10 || len(o.latencies) != 80 {
		t.Errorf("%d done, %d failed, %d refused", o.done, o.failed, o.refused)
	}
	o = drive(address, load{clients: 2, length: time.Minute}, func(*client, int) error { return errBadAnswer })
	if o.took > 10*time.Second || o.done != 0 {
		t.Errorf("what never works must end early: %v", o.took)
	}
}

func TestSinkKeepsWhoGotWhat(t *testing.T) {
	t.Parallel()
	s, err := startSink()
	if err != nil {
		t.Fatal(err)
	}
	o := sendRaw(s.address(), 3, 50)
	if o.done != 50 || o.failed != 0 || s.count.Load() != 50 {
		t.Fatalf("%d sent, %d failed (%v), %d accepted", o.done, o.failed, o.why, s.count.Load())
	}
	got := s.received("raw@bench.example")
	if len(got) != 50 || got[0].id != "<raw@bench>" {
		t.Errorf("%d receipts, the first %q", len(got), got[0].id)
	}
	if _, ok := s.await("nobody@bench.example", 0); ok {
		t.Error("a mail nobody sent")
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median %v", got)
	}
	if got := median([]float64{1, 2, 3, 4}); got != 2.5 {
		t.Errorf("median %v", got)
	}
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	if percentile(hundred, 0.5) != 51 || percentile(hundred, 0.99) != 100 || percentile(hundred, 1) != 100 || percentile(nil, 0.5) != 0 {
		t.Error("percentiles")
	}
	for perSecond, want := range map[float64]string{7.25: "7.2/s", 512: "512/s", 1234.4: "1,234/s", 123456: "123,456/s"} {
		if got := rate(perSecond); got != want {
			t.Errorf("rate(%v) = %q", perSecond, got)
		}
	}
	// Ratios are taken within a round: a machine half as fast in one changes nothing.
	slow, fast := outcome{done: 50, took: time.Second}, outcome{done: 100, took: time.Second}
	if got := ratio([]outcome{slow, fast}, []outcome{fast, {done: 200, took: time.Second}}); got != 0.5 {
		t.Errorf("ratio %v", got)
	}
}

func TestWelch(t *testing.T) {
	t.Parallel()
	a := []time.Duration{2750, 2180, 2410, 2390, 2500}
	b := []time.Duration{2100, 2230, 1950, 2040, 2080}
	// Means 2446 and 2080, variances 42630 and 10350: 366 / sqrt(8526 + 2070).
	if got := welch(a, b); math.Abs(got-3.556) > 0.001 {
		t.Errorf("t = %v", got)
	}
	if welch(a, a) != 0 || welch(a, nil) != 0 {
		t.Error("alike is 0")
	}
}

func TestAddressesTellNothingByTheirLength(t *testing.T) {
	t.Parallel()
	if len(emailOf(1)) != len(strangerOf(99_999)) {
		t.Error("lengths differ")
	}
}

// TestRun drives the real server for a moment: it guards the driver against
// changes of what it relies on.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts the server")
	}
	b := settings{only: []string{"session", "link", "race"}, users: 200, quick: true, folder: t.TempDir(), log: "info"}
	r, err := run(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.rows {
		if line.Numbers["failed"] > 0 {
			t.Errorf("%s: %s", line.Operation, line.Figure)
		}
	}
	if one := r.rows[len(r.rows)-1]; one.Numbers["one_winner"] != one.Numbers["rounds"] {
		t.Errorf("%s: %s", one.Operation, one.Figure)
	}
}
