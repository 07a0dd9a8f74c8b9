package canary

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/environment"
	"github.com/sparekey/sparekey/internal/secret"
)

const (
	stepLimit = 20 * time.Second // for one page; a hash may have to wait its turn
	longPage  = 1 << 20          // bytes read of a page
	longMail  = 256 << 10        // bytes read of a text
)

// linkIn finds the reset link that stands alone on a line of the text; "" if
// there is none that begins with our public address.
func (c *Canary) linkIn(raw []byte) string {
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if r == nil || err != nil && !message.IsUnknownCharset(err) {
		return ""
	}
	defer func() { _ = r.Close() }()
	begins := c.URL.JoinPath(environment.OperatorSlug, "reset-password").String() + "/"
	for range 10 { // parts
		part, err := r.NextPart()
		if part == nil || err != nil && !message.IsUnknownCharset(err) {
			return ""
		}
		text, err := io.ReadAll(io.LimitReader(part.Body, longMail))
		if err != nil {
			return ""
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, begins) {
				return line
			}
		}
	}
	return ""
}

// ask does what somebody does who forgot the password.
func (c *Canary) ask(ctx context.Context, address string) error {
	b := c.browser()
	page := environment.OperatorSlug + "/forgot-password"
	if _, err := b.get(ctx, page, http.StatusOK); err != nil {
		return err
	}
	return b.post(ctx, page, url.Values{"email": {address}}, http.StatusOK)
}

// useLink does what somebody does with the mail: open, set a password, log in,
// log out.
func (c *Canary) useLink(ctx context.Context, link, address string) error {
	u, err := url.Parse(link)
	if err != nil {
		return errors.New("the link is none")
	}
	b := c.browser()
	form, err := b.get(ctx, strings.TrimPrefix(u.EscapedPath(), "/"), http.StatusOK)
	if err != nil {
		return fmt.Errorf("opening the link failed: %w", err)
	}
	password := secret.NewToken()
	form.Set("password", password)
	if err := b.post(ctx, strings.TrimPrefix(u.EscapedPath(), "/"), form, http.StatusSeeOther, http.StatusOK); err != nil {
		return fmt.Errorf("setting a password failed: %w", err)
	}
	in := url.Values{"email": {address}, "password": {password}}
	if err := b.post(ctx, environment.OperatorSlug+"/login", in, http.StatusSeeOther); err != nil {
		return fmt.Errorf("logging in failed: %w", err)
	}
	if err := b.isIn(ctx, address); err != nil {
		return fmt.Errorf("logging in failed: %w", err)
	}
	if err := b.post(ctx, environment.OperatorSlug+"/logout", url.Values{}, http.StatusSeeOther); err != nil {
		return fmt.Errorf("logging out failed: %w", err)
	}
	return nil
}

// browser is just enough of one. It keeps cookies without heeding that some are
// for https alone: it talks to our own listener, behind the proxy.
type browser struct {
	at      string
	client  *http.Client
	cookies map[string]string
}

func (c *Canary) browser() *browser {
	return &browser{at: c.At(), cookies: map[string]string{}, client: &http.Client{
		Transport: c.HTTP, Timeout: stepLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do asks for a page and gives its body. No error names the path: it may hold a link.
func (b *browser) do(ctx context.Context, method, path string, form url.Values, wanted ...int) ([]byte, error) {
	if b.at == "" {
		return nil, errors.New("our own pages are not served yet")
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	q, err := http.NewRequestWithContext(ctx, method, b.at+"/"+path, body)
	if err != nil {
		return nil, errors.New("the address cannot be asked")
	}
	q.Header.Set("User-Agent", "Sparekey canary")
	q.Header.Set("Accept-Language", "en")
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range b.cookies {
		q.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	res, err := b.client.Do(q)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("our own pages do not answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	for _, k := range res.Cookies() {
		b.cookies[k.Name] = k.Value
	}
	page, err := io.ReadAll(io.LimitReader(res.Body, longPage))
	if err != nil {
		return nil, fmt.Errorf("our own pages break off: %w", err)
	}
	for _, w := range wanted {
		if res.StatusCode == w {
			return page, nil
		}
	}
	return nil, fmt.Errorf("our own page answered with status %d", res.StatusCode)
}

// get opens a page and gives the hidden fields of its forms.
func (b *browser) get(ctx context.Context, path string, wanted int) (url.Values, error) {
	page, err := b.do(ctx, http.MethodGet, path, nil, wanted)
	if err != nil {
		return nil, err
	}
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return nil, errors.New("our own page cannot be read")
	}
	fields := url.Values{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "input" {
			continue
		}
		f := map[string]string{}
		for _, a := range n.Attr {
			f[a.Key] = a.Val
		}
		if f["type"] == "hidden" && f["name"] != "" {
			fields.Set(f["name"], f["value"])
		}
	}
	return fields, nil
}

func (b *browser) post(ctx context.Context, path string, form url.Values, wanted ...int) error {
	_, err := b.do(ctx, http.MethodPost, path, form, wanted...)
	return err
}

// isIn asks as an application does whose session this is.
func (b *browser) isIn(ctx context.Context, address string) error {
	page, err := b.do(ctx, http.MethodGet, environment.OperatorSlug+"/session", nil, http.StatusOK)
	if err != nil {
		return err
	}
	var session struct {
		User struct {
			Email string `json:"email"`
		} `json:"user"`
	}
	if err := json.Unmarshal(page, &session); err != nil || !strings.EqualFold(session.User.Email, address) {
		return errors.New("the session is somebody else's")
	}
	return nil
}
