package configs

import (
	"log/slog"
	"os"
	"strings"
)

// Secret is a value that must not be seen in logs, errors or dumps: whatever prints it writes [hidden]. string(s) is the value.
// An operator may write "file:PATH"; a loaded Config holds what that file says, without the white space around it.
type Secret string

const (
	hidden         = "[hidden]"
	secretFile     = "file:"
	secretBytesMax = 4096 // a longer one is another file under the wrong name
)

// String is [hidden], or empty when the secret is.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// secrets puts what a file says in the place of its name.
func (l *loader) secrets() {
	for _, k := range l.keys {
		s, ok := k.value.Interface().(Secret)
		if !ok {
			continue
		}
		path, ok := strings.CutPrefix(string(s), secretFile)
		if !ok {
			continue
		}
		if message := unreadable(path); message != "" {
			l.refuse(k.path, "%s", message)
			continue
		}
		text, err := os.ReadFile(path)
		switch {
		case err != nil:
			l.refuse(k.path, "cannot be read: %v", err)
		case len(text) > secretBytesMax:
			l.refuse(k.path, "%s has %d bytes, a secret has at most %d", path, len(text), secretBytesMax)
		case strings.TrimSpace(string(text)) == "":
			l.refuse(k.path, "%s is empty", path)
		default:
			k.value.SetString(strings.TrimSpace(string(text)))
		}
	}
}

// unreadable says why a file that a key names cannot be used; "" when it can.
func unreadable(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	if !info.Mode().IsRegular() {
		return "must name a file; " + path + " is none"
	}
	f, err := os.Open(path)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	f.Close()
	return ""
}
