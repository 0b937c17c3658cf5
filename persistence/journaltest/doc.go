// Package journaltest is what every Store must pass. A store's own test calls Run with a function that makes an empty one.
package journaltest
