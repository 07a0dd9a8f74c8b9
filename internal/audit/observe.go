package audit

import "github.com/sparekey/sparekey/internal/db"

const observer = "audit.observer"

// Observe has every event told to fn after its transaction has committed, for
// what this process counts in memory. fn must be quick; nil ends it.
func Observe(d *db.DB, fn func(Event)) {
	if fn == nil {
		d.Attach(observer, nil)
		return
	}
	d.Attach(observer, fn)
}

// tell passes events on once they are true.
func tell(tx *db.Tx, events []Event) {
	fn, ok := tx.Attached(observer).(func(Event))
	if !ok {
		return
	}
	tx.OnEnd(func(committed bool) {
		if !committed {
			return
		}
		for _, e := range events {
			fn(e)
		}
	})
}
