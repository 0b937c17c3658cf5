package configs

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size: "64MiB", "1GiB", "768KiB" or a plain number of bytes.
type Bytes int64

// Binary sizes.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
)

var units = []struct {
	suffix string
	size   Bytes
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

// String writes the size in its largest whole unit, the way ParseBytes reads it.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// ParseBytes reads a size. Decimal units (MB) are refused: whoever writes them may mean either.
func ParseBytes(s string) (Bytes, error) {
	size := Bytes(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(size) {
		return 0, errors.New("must be a size such as 64MiB (KiB, MiB, GiB), not " + strconv.Quote(s))
	}
	return Bytes(n) * size, nil
}

// key is one dial: its dotted path, where its value lives, and its rule of validity.
type key struct {
	path  string
	value reflect.Value
	tag   reflect.StructTag
}

// keysOf lists every dial of cfg in the order of the file.
func keysOf(cfg *Config) []key {
	var keys []key
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			path := prefix + f.Tag.Get("yaml")
			if f.Type.Kind() == reflect.Struct {
				walk(path+".", v.Field(i))
				continue
			}
			keys = append(keys, key{path, v.Field(i), f.Tag})
		}
	}
	walk("", reflect.ValueOf(cfg).Elem())
	return keys
}

// list tells whether the key holds several texts.
func (k key) list() bool { return k.value.Type() == reflect.TypeFor[[]string]() }

// env is the environment variable that goes over the key: limits.mailbox_max is ORDERYARD_LIMITS_MAILBOX_MAX.
func (k key) env() string { return EnvPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_")) }

// set gives the key the value a file or a variable spells. On error the old value stays.
func (k key) set(text string) error {
	v, err := parse(k.value.Type(), text)
	if err == nil {
		k.value.Set(v.Convert(k.value.Type()))
	}
	return err
}

func parse(t reflect.Type, text string) (reflect.Value, error) {
	switch t {
	case reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			err = fmt.Errorf("must be a time with its unit, such as 250ms, 30s or 24h, not %q", text)
		}
		return reflect.ValueOf(d), err
	case reflect.TypeFor[Bytes]():
		b, err := ParseBytes(text)
		return reflect.ValueOf(b), err
	case reflect.TypeFor[uint64]():
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			err = fmt.Errorf("must be a whole number from 0 to %d, not %q", uint64(math.MaxUint64), text)
		}
		return reflect.ValueOf(n), err
	case reflect.TypeFor[int]():
		n, err := strconv.Atoi(text)
		if err != nil {
			err = fmt.Errorf("must be a whole number, not %q", text)
		}
		return reflect.ValueOf(n), err
	case reflect.TypeFor[bool]():
		if text != "true" && text != "false" {
			return reflect.ValueOf(false), fmt.Errorf("must be true or false, not %q", text)
		}
		return reflect.ValueOf(text == "true"), nil
	case reflect.TypeFor[[]string]():
		return reflect.ValueOf(split(text)), nil // a file writes a list as such, and never comes here
	default:
		return reflect.ValueOf(text), nil
	}
}

// check says what is wrong with the key's present value by its own rule alone; "" when nothing is.
func (k key) check() string {
	if words := k.tag.Get("words"); words != "" {
		for w := range strings.FieldsSeq(words) {
			if k.value.String() == w {
				return ""
			}
		}
		return fmt.Sprintf("must be one of %s, not %q", strings.Join(strings.Fields(words), ", "), k.value.String())
	}
	lo, hi := k.tag.Get("min"), k.tag.Get("max")
	if lo == "" {
		return ""
	}
	if n := k.value.Int(); n < k.bound(lo) || n > k.bound(hi) {
		return fmt.Sprintf("must be from %s to %s, is %v", lo, hi, k.value.Interface())
	}
	return ""
}

// bound reads a limit out of a tag; a tag that does not parse is a programming error that every test would meet.
func (k key) bound(text string) int64 {
	v, err := parse(k.value.Type(), text)
	if err != nil {
		panic("configs: " + k.path + ": " + err.Error())
	}
	return v.Int()
}
