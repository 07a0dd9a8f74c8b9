package world

// server is one machine of the world.
type server struct {
	image string
	// doors must answer before the world is ready: a name and a port.
	doors []string
	// keys are the certificates it gets, by name; see certificates.
	keys []string
}

// servers by name. The name is also its folder in conf, whose files are laid
// over its root, and whose file start is run there.
var servers = map[string]server{
	"relay":   {image: "postfix", doors: []string{"relay.login.example:587"}, keys: []string{"relay"}},
	"dovecot": {image: "postfix", doors: []string{"mx.dovecot.example:24", "mx.dovecot.example:12340"}},
	"postfix": {
		image: "postfix", keys: []string{"postfix", "other"},
		doors: []string{"mx.postfix.example:25", "small.postfix.example:25", "busy.postfix.example:25", "tls.postfix.example:25", "tls.dovecot.example:25", "mx.postfix.example:10023"},
	},
	"exim":      {image: "exim", doors: []string{"mx.exim.example:25", "tls.exim.example:25"}, keys: []string{"exim"}},
	"filter":    {image: "rspamd", doors: []string{"filter.example:6379", "filter.example:11332", "filter.example:11333"}},
	"opensmtpd": {image: "opensmtpd", doors: []string{"mx.opensmtpd.example:25", "tls.opensmtpd.example:25"}, keys: []string{"opensmtpd"}},
	"courier":   {image: "courier", doors: []string{"mx.courier.example:25", "tls.courier.example:25"}, keys: []string{"courier", "expired"}},
	"sendmail":  {image: "sendmail", doors: []string{"mx.sendmail.example:25", "tls.sendmail.example:25"}, keys: []string{"sendmail"}},
}

// Few are the servers that are installed and started quickly.
func Few() []string { return []string{"relay", "dovecot", "postfix", "exim"} }

// All are all of them. Those who ask another one stand behind it.
func All() []string {
	return []string{"filter", "relay", "dovecot", "postfix", "exim", "opensmtpd", "courier", "sendmail"}
}
