package web

import "net/http"

// Guard says who gets past the door. What they may do then is the verbs'
// business, and the walking test's: every route, role and environment.
type Guard int

// The guards.
const (
	Anyone    Guard = iota
	SignedIn        // with a live session of this environment
	Operators       // signed in as one of those who run the server
)

// Route is one address of an environment.
type Route struct {
	Method  string
	Pattern string
	Guard   Guard
	// LinkIsAuthority: knowing the link, or the code, is the authority, and no
	// cookie grants anything. So a POST may come from anywhere: pages without
	// referrer post "Origin: null", as do some mail programs' browsers.
	LinkIsAuthority bool
	handle          func(*Door, *visit) error
}

// Routes lists every address below an environment.
func Routes() []Route {
	return append([]Route{
		{http.MethodGet, "/{environment}/{$}", Anyone, false, (*Door).showStart},
		{http.MethodGet, "/{environment}", Anyone, false, (*Door).showStart},
		{http.MethodGet, "/{environment}/login", Anyone, false, (*Door).showLogin},
		{http.MethodPost, "/{environment}/login", Anyone, false, (*Door).submitLogin},
		{http.MethodPost, "/{environment}/logout", Anyone, false, (*Door).submitLogout},

		{http.MethodGet, "/{environment}/forgot-password", Anyone, false, (*Door).showForgotPassword},
		{http.MethodPost, "/{environment}/forgot-password", Anyone, false, (*Door).submitForgotPassword},
		{http.MethodGet, "/{environment}/reset-password", Anyone, false, (*Door).showCode},
		{http.MethodPost, "/{environment}/reset-password", Anyone, true, (*Door).submitCode},
		{http.MethodGet, "/{environment}/reset-password/{link}", Anyone, false, (*Door).showResetPassword},
		{http.MethodPost, "/{environment}/reset-password/{link}", Anyone, true, (*Door).submitResetPassword},
		{http.MethodPost, "/{environment}/reset-password/paste", Anyone, true, (*Door).submitPasted},
		{http.MethodPost, "/{environment}/reset-password/{link}/send-again", Anyone, true, (*Door).submitAskAgain},
		{http.MethodGet, "/{environment}/not-me/{link}", Anyone, false, (*Door).showNotMe},
		{http.MethodPost, "/{environment}/not-me/{link}", Anyone, true, (*Door).submitNotMe},
		{http.MethodGet, "/{environment}/confirm-address/{link}", Anyone, false, (*Door).showAddressConfirm},
		{http.MethodPost, "/{environment}/confirm-address/{link}", Anyone, true, (*Door).submitAddressConfirm},

		{http.MethodGet, "/{environment}/.well-known/change-password", Anyone, false, (*Door).changePassword},
		{http.MethodGet, "/{environment}/theme.css", Anyone, false, (*Door).theme},

		{http.MethodGet, "/{environment}/account", SignedIn, false, (*Door).showAccount},
		{http.MethodPost, "/{environment}/account", SignedIn, false, (*Door).submitAccount},

		{http.MethodGet, "/{environment}/users", SignedIn, false, (*Door).showUserManager},
		{http.MethodGet, "/{environment}/users/new", SignedIn, false, (*Door).showUserCreate},
		{http.MethodPost, "/{environment}/users/new", SignedIn, false, (*Door).submitUserCreate},
		{http.MethodPost, "/{environment}/users/approvals", SignedIn, false, (*Door).submitApproval},
		{http.MethodGet, "/{environment}/users/unmatched", SignedIn, false, (*Door).showUnmatched},
		{http.MethodPost, "/{environment}/users/unmatched", SignedIn, false, (*Door).submitUnmatched},
		{http.MethodGet, "/{environment}/users/{id}", SignedIn, false, (*Door).showUser},
		{http.MethodGet, "/{environment}/users/{id}/live", SignedIn, false, (*Door).watchUser},
		{http.MethodPost, "/{environment}/users/{id}", SignedIn, false, (*Door).submitUserAction},
		{http.MethodGet, "/{environment}/users/{id}/edit", SignedIn, false, (*Door).showUserEdit},
		{http.MethodPost, "/{environment}/users/{id}/edit", SignedIn, false, (*Door).submitUserEdit},
		{http.MethodGet, "/{environment}/users/{id}/{action}", SignedIn, false, (*Door).showConfirmation},

		{http.MethodGet, "/{environment}/needs-help", SignedIn, false, (*Door).showNeedsHelp},
		{http.MethodGet, "/{environment}/numbers", SignedIn, false, (*Door).showNumbers},

		{http.MethodGet, "/operator", Operators, false, (*Door).showConsole},
		{http.MethodGet, "/operator/{$}", Operators, false, (*Door).showConsole},
		{http.MethodPost, "/operator/alarms", Operators, false, (*Door).submitAlarm},
		{http.MethodGet, "/operator/environments", Operators, false, (*Door).showOperatorEnvironments},
		{http.MethodPost, "/operator/environments", Operators, false, (*Door).submitOperatorEnvironments},
		{http.MethodGet, "/operator/numbers", Operators, false, (*Door).showAllNumbers},
		{http.MethodGet, "/operator/numbers/{slug}", Operators, false, (*Door).showNumbersOf},
		{http.MethodGet, "/operator/feedback/{slug}", Operators, false, (*Door).showFeedbackOf},
		{http.MethodGet, "/operator/feedback/{slug}/csv", Operators, false, (*Door).exportFeedbackOfCSV},
		{http.MethodGet, "/operator/feedback/{slug}/json", Operators, false, (*Door).exportFeedbackOfJSON},
		{http.MethodGet, "/operator/unknown-replies", Operators, false, (*Door).showUnknownReplies},
		{http.MethodPost, "/operator/unknown-replies", Operators, false, (*Door).submitUnknownReply},
		{http.MethodGet, "/operator/mail-setup", Operators, false, (*Door).showMailSetup},
		{http.MethodPost, "/operator/mail-setup", Operators, false, (*Door).submitMailSetup},

		{http.MethodGet, "/{environment}/settings", SignedIn, false, (*Door).showSettings},
		{http.MethodPost, "/{environment}/settings", SignedIn, false, (*Door).submitSettings},
	}, helpRoutes...)
}
