package web

import (
	"errors"
	"io"
	"net/http"

	"github.com/sparekey/sparekey/internal/mailevent"
)

// maxMailEvents is the largest request of a mail provider, in bytes.
const maxMailEvents = 1 << 20

// mailEvents takes what mail providers post. Their proof is the authority here:
// no cookie grants anything, so a post may come from anywhere.
func (d *Door) mailEvents(w http.ResponseWriter, r *http.Request) {
	w.(*recorder).route = "/mail-events/{provider}"
	provider := r.PathValue("provider")
	if !d.Delivery.MayPost(provider) {
		drain(r)
		plain(w, http.StatusNotFound, "No such mail provider is set up here (SPAREKEY_MAIL_EVENTS).\n")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMailEvents))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		plain(w, http.StatusRequestEntityTooLarge, "More than 1 MiB of events at once: send fewer.\n")
		return
	case err != nil:
		plain(w, http.StatusBadRequest, "The request broke off.\n")
		return
	}
	err = d.Delivery.TakeEvents(r.Context(), provider, mailevent.Post{Header: r.Header, Body: body})
	switch {
	case err == nil:
		plain(w, http.StatusOK, "taken\n")
	case errors.Is(err, mailevent.ErrUnproven):
		d.Log.WarnContext(r.Context(), "mail events that nothing proves", "provider", provider)
		plain(w, http.StatusForbidden, "Nothing proves that the mail provider sent this.\n")
	case errors.Is(err, mailevent.ErrMalformed):
		d.Log.WarnContext(r.Context(), "mail events that cannot be read", "provider", provider, "error", err)
		plain(w, http.StatusBadRequest, "These are no events of the mail provider.\n")
	default:
		d.Log.ErrorContext(r.Context(), "mail events", "provider", provider, "error", err)
		plain(w, http.StatusServiceUnavailable, "Not just now; send it again later.\n")
	}
}
