package dsn

import (
	"strings"

	"github.com/sparekey/sparekey/internal/folding"
	"github.com/sparekey/sparekey/internal/lazyregexp"
)

// phrases are words in many languages, folded. They tell what a mail is, never
// why it came.
type phrases []string

func (p phrases) in(folded string) bool {
	for _, phrase := range p {
		if strings.Contains(folded, phrase) {
			return true
		}
	}
	return false
}

var spaces = lazyregexp.New(`\s+`)

// fold gives plain letters with white space collapsed, also at the ends.
func fold(s string) string { return spaces().ReplaceAllString(folding.Letters(s), " ") }

func folded(all ...string) phrases {
	p := make(phrases, len(all))
	for i, s := range all {
		p[i] = fold(s)
	}
	return p
}

var (
	// systemNames are names that mail systems give themselves.
	systemNames = folded("mail delivery", "mail system", "delivery subsystem", "system administrator", "mailer-daemon", "mailer daemon",
		"postmaster", "mail administrator", "mail router", "internet mail", "delivery system", "message router", "mail deliver", "e-mail system",
		"systemadministrator", "administrateur syst", "mail gateway", "mta ", "mail transport", "delivery service", "interscan", "mail server", "message transfer", "mailsystem", "smtp server")
	// reportSubject are what reports of failure are called.
	reportSubject = folded("undeliver", "non-deliver", "nondeliver", "not delivered", "could not be delivered", "couldn't be delivered", "cannot be delivered", "can't be delivered", "unable to deliver",
		"returned mail", "returning message", "returned to sender", "failure notice", "delivery fail", "failed mail", "mail failure", "failed delivery", "delivery status", "delivery report",
		"delivery has failed", "delivery problem", "delivery error", "delivery notification", "mail system error", "message delivery", "mail delivery", "delivery of your message", "delivery incomplete",
		"error sending", "error delivering", "send error", "mail could not", "message you sent blocked", "message blocked", "message rejected", "mail rejected", "email delivery failure", "bounced", "nondelivery",
		"failure notification", "not member", "reject mail", "article rejected", "user unknown", "unknown user", "postmaster notify", "rejected mail", "message status - ", "transport error", "delivery to", "unzustellbar", "nicht zustellbar", "zustellung", "nicht zugestellt", "unzustellbarkeit", "fehler bei der",
		"remise", "non remis", "non distribu", "echec de", "n'a pas pu etre", "no se puede entregar", "no entregado", "devuelto", "no se ha podido entregar", "non recapitabile", "mancato recapito", "impossibile recapitare", "onbestelbaar", "niet afgeleverd", "niet worden afgeleverd", //nolint:misspell // Italian
		"nao entregue", "nao foi entregue", "falha na entrega", "niedostarczon", "nie dostarcz", "zwrot", "nedorucen", "kezbesithetetlen", "ikke levert", "kunde inte levereras", "olevererbar", "toimittamatta", "teslim edileme",
		"недоставлен", "не доставлено", "не удалось доставить", "недоставка", "ошибка доставки", "未送達", "配信不能", "配信エラー", "送信エラー", "エラーメール", "メールエラー", "エラー通知", "配達できません", "退信", "无法投递", "投递失败", "無法傳遞", "未送達", "전송 실패", "반송", "배달")
	// reportWords are how they say it.
	reportWords = folded("could not be delivered", "couldn't be delivered", "could not deliver", "cannot be delivered", "can not be delivered", "can't be delivered", "unable to deliver", "was not delivered", "wasn't delivered", "not been delivered", "not be delivered", "undeliverable", "undelivered",
		"wasn't able to deliver", "did not reach", "delivery failed", "delivery has failed", "delivery to the following", "failed permanently", "failed to deliver", "could not be reached", "delivery problems", "permanent fatal errors", "transcript of session", "permanent error",
		"error delivering", "trouble delivering", "trying to deliver", "non-delivered", "message was blocked", "was blocked by", "has been blocked", "rejected by", "returned permanent errors", "was not sent", "returned to sender", "not a member", "not member", "could not be sent", "giving up", "given up", "envelope expired", "no such user", "unknown user", "user unknown", "does not exist",
		"nicht zugestellt", "unzustellbar", "nicht zustellbar", "n'a pas pu etre remis", "n'a pas pu etre", "non remis", "no se pudo entregar", "no pudo ser entregado", "no ha podido", "non e stato possibile", "impossibile recapitare", "kon niet worden", "nao pode ser entregue", "nao foi possivel", "nie mogla zostac", "nie moze", //nolint:misspell // Italian
		"не может быть доставлено", "не было доставлено", "не удалось доставить", "送信できません", "配信できません", "配送できません", "届けできません", "送信に失敗", "エラーのため", "无法投递", "无法送达", "被退回", "退信", "未能送达", "無法傳遞")
	// oneVoice are sentences that only one mail system writes, which names no sender
	// of reports that one could know.
	oneVoice = folded("your mail sent on: ", "as their mailbox is full", "due to the following smtp relay error", "as the remote domain doesnt exist")
	// finalWords say that nothing more will be tried, whatever else is said.
	finalWords   = folded("permanent failure", "failed permanently", "permanent error", "permanent fatal errors", "giving up", "given up", "envelope expired", "will be deleted from queue", "no further")
	delaySubject = folded("(delay)", "delayed", "delay notif", "warning: could not send message", "warning: message", "still being retried", "delivery delayed", "not yet been delivered", "verzoger", "retarde", "retrasad", "in ritardo", "vertraagd", "отложен", "задерж", "配信遅延", "延迟")
	delayWords   = folded("warning message only", "has been delayed", "is delayed", "not yet been delivered", "will be retried", "will retry", "still being retried", "not need to resend", "not need to re-send", "delivery attempts will continue", "continue to try", "keep trying", "will keep trying",
		"wird weiterhin versucht", "verzogert", "sera retente", "seguira intentando")
	// answerSubject are what automatic answers are called.
	answerSubject = folded("automatic reply", "automatic response", "automated reply", "automated response", "auto reply", "auto-reply", "autoreply", "auto:", "auto response", "auto-response", "autoresponse", "autorespond", "out of office", "out of the office", "out-of-office", "ooo:", "away from", "on vacation", "vacation", "on holiday", "on leave", "away until", "i am away", "i'm away", "absence",
		"please confirm your message", "confirm your message", "sender verification", "verify your email to", "challenge", "your message to", "message awaits", "confirmation required", "has been received", "we have received", "thank you for contacting", "thank you for your", "ticket", "[case", "support request", "request received", "read:", "not read:", "auto answer", "automailer",
		"automatische antwort", "abwesenheit", "abwesend", "nicht im buro", "nicht im haus", "urlaub", "eingangsbestatigung", "antwort automatisch", "reponse automatique", "absent", "absence du bureau", "conges", "accuse de reception", "respuesta automatica", "fuera de la oficina", "fuera de oficina", "ausente", "vacaciones", //nolint:misspell // French
		"risposta automatica", "fuori sede", "fuori ufficio", "assente", "automatisch antwoord", "automatisch bericht", "afwezig", "resposta automatica", "fora do escritorio", "ausencia", "autosvar", "automatiskt svar", "automatisk svar", "franvaro", "fravaer", "fraværende", "automaattinen vastaus", "poissa", "automatyczna odpowiedz", "nieobecnosc", "automaticka odpoved", "mimo kancelar", "automatikus valasz", "raspuns automat", "otomatik yanit", "automatisks", "αυτοματη απαντηση",
		"автоответ", "автоматический ответ", "отсутств", "отпуск", "自動応答", "自動返信", "不在", "自动答复", "自动回复", "外出", "自動回覆", "부재중", "자동 회신", "자동 응답", "תשובה אוטומטית", "رد تلقائي")
	// answerWords are what they say.
	answerWords = folded("out of the office", "out of office", "on vacation", "on holiday", "on annual leave", "on leave", "maternity leave", "parental leave", "away until", "i am away", "i'm away", "am currently away", "currently out", "be back on", "return on", "no longer work", "no longer with", "has left the company", "left the company", "limited access to email", "limited access to e-mail", "i will reply", "we will reply", "get back to you", "as soon as i return", "automatic reply", "auto-reply", "automated response", "automatic response", "this is an automatic",
		"mailbox is not monitored", "is not monitored", "unmonitored", "we have received your", "your message has been received", "your ticket", "ticket number", "your request has been", "thank you for contacting", "thank you for your message", "thank you for your e-mail", "thank you for your email", "has not been verified", "confirm that you", "is being held", "placed on hold", "held for review", "has been quarantined", "verify yourself", "prove that you", "to release your message", "sender verification",
		"nicht im buro", "nicht erreichbar", "abwesend", "im urlaub", "nicht im haus", "wieder im buro", "wird nicht weitergeleitet", "vielen dank fur ihre", "absent", "en conge", "de retour le", "fuera de la oficina", "de vacaciones", "estare de vuelta", "fuori ufficio", "in ferie", "afwezig", "met vakantie", "fora do escritorio", "de ferias", "nieobecn", "na urlopie", "v otpusku",
		"в отпуске", "отсутству", "не в офисе", "不在", "休暇", "自動返信", "休假", "不在办公室", "自动回复", "부재", "휴가")
)
