package inventory

// Limits of one bucket. They are part of its meaning (replay depends on some of them), so they are constants and no dials.
const (
	// QuantityMax bounds one reservation, CountMax everything that is counted: sums of many stay far from overflow.
	QuantityMax = 1_000_000_000
	CountMax    = 1_000_000_000_000

	// A hold without a wish lasts HoldDefaultMs; shorter than HoldMinMs it could not be confirmed over a slow line, and longer than
	// HoldMaxMs it would be an allocation in disguise.
	HoldDefaultMs = 10 * 60 * 1000
	HoldMinMs     = 1000
	HoldMaxMs     = 24 * 60 * 60 * 1000

	// A claim that was firm from the beginning and is still there after CheckAfterMs is asked about, once: had its order never heard the answer,
	// which takes a late copy of a question and the loss of that answer, nobody else would ever give it back.
	CheckAfterMs = 24 * 60 * 60 * 1000

	// Ended reservations are remembered so that late and repeated commands get a true answer.
	EndedKeepMs = 24 * 60 * 60 * 1000
	EndedMax    = 200_000

	// ReservationsMax bounds live and ended reservations together; above it the bucket sheds.
	ReservationsMax = 4_000_000

	// MovementsMax bounds the log against which a count taken in the past is reconciled; MovementsWide, in 64 KiB, that of a bucket which has moved so
	// much once that a count came too late for it.
	MovementsMax  = 256
	MovementsWide = 4096

	// StepMax bounds the reservations that one decision expires or contests, and so the size of its journal entry.
	StepMax = 1000

	// NoticesMax bounds the over-commitment notices that are under way at one time.
	NoticesMax = 256

	// putOffMinMs and putOffMaxMs bound how long a notice that is not taken, for nobody serves its order, lets others go first. It doubles each time.
	putOffMinMs, putOffMaxMs = 1_000, 30_000

	// checkPauseMs is how long those who did not answer a question about an old claim are left alone when all have been asked.
	checkPauseMs = 60_000

	// idMax bounds reservation and order ids, textMax reasons and references, in bytes.
	idMax   = 256
	textMax = 256

	// pruneMax bounds the ended reservations forgotten per event; more than one per event, so that the backlog shrinks.
	pruneMax = 16

	// retryAfterMs is what a shed caller is told.
	retryAfterMs = 10
)
