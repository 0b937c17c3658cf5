package rulebook

import "time"

const (
	// Bucket is the name of the key-value bucket.
	Bucket = "OY_RULES"

	// TextBytesMax bounds a version's rules and tests together: as JSON, where a character may take two, they fit the 1 MiB that NATS takes
	// unless told otherwise.
	TextBytesMax = 480 << 10
	// VersionsMax bounds the versions kept: one a day for 13 years. Past it nothing is published; no version is ever dropped.
	VersionsMax = 5000
	// activationsMax bounds the history: past it the oldest activation is forgotten, its version is not.
	activationsMax = 10_000
	// draftsMax bounds the drafts that one answer lists.
	draftsMax = 20
	// historyDefault and historyMax bound one page of the history: with notes of any length it fits one message.
	historyDefault = 20
	historyMax     = 200

	// writesMax and writeAgain: a write without an answer is tried so often, with such pauses.
	writesMax  = 3
	writeAgain = 100 * time.Millisecond
	// callWithin bounds one question to the store.
	callWithin = 2 * time.Second
	// duplicateWindow bounds the server's memory for message ids, which nobody sends here.
	duplicateWindow = 100 * time.Millisecond

	// checkEvery is the pause between two looks at what is in force, should the watch have gone deaf.
	checkEvery = 2 * time.Second
	// againAfter is the pause after a watch or a look that failed.
	againAfter = 200 * time.Millisecond
	// earlierMax is how many earlier versions a starting node tries when it cannot compile the one in force.
	earlierMax = 10

	// answerWithin bounds one request at the door, below the five seconds that a client waits.
	answerWithin = 4 * time.Second
	// requestsMax bounds the requests under way at one door: a set compiles in well under a second, and nobody publishes by the dozen.
	requestsMax = 8
	// busyForMs is when a caller that found the door full should come back.
	busyForMs = 200
)
