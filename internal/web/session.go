package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/sparekey/sparekey/internal/fault"
)

const sessionRoute = "/{environment}/session"

type sessionAnswer struct {
	User    sessionUser `json:"user"`
	Expires time.Time   `json:"expires"`
}

type sessionUser struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	Role  string `json:"role"`
}

// session tells an application or a proxy whose session a cookie is: one
// indexed read, never cached.
func (d *Door) session(w http.ResponseWriter, r *http.Request, slug string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answerJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "ask with GET"})
		return
	}
	c, err := r.Cookie(d.cookieName(slug, ""))
	if err != nil || len(c.Value) > 128 {
		answerJSON(w, http.StatusUnauthorized, map[string]string{"error": "not signed in"})
		return
	}
	live, err := d.SignIn.Resume(r.Context(), slug, c.Value)
	switch {
	case err == nil:
		answerJSON(w, http.StatusOK, sessionAnswer{
			User:    sessionUser{ID: string(live.User), Email: live.Email, Name: live.Name, Role: string(live.Role)},
			Expires: live.Expires(),
		})
	case fault.Is(err, fault.NotFound):
		answerJSON(w, http.StatusUnauthorized, map[string]string{"error": "not signed in"})
	default:
		d.Log.ErrorContext(r.Context(), "session", "error", err)
		w.Header().Set("Retry-After", "1")
		answerJSON(w, http.StatusServiceUnavailable, map[string]string{"error": "try again"})
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client may have left
}
