package site

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"orderyard/messages"
)

// shape is what the bytes of a message must look like for it to be decoded: the wire type of each field it knows, by number.
type shape []fieldShape

type fieldShape struct {
	known bool
	kind  protowire.Type
	inner shape // of a message
}

// workShape is that of the work in a state. Work stays packed when a site is read back, and must be found damaged then, not when somebody asks for it.
var workShape = shapeOf((*messages.SiteWork)(nil).ProtoReflect().Descriptor())

func shapeOf(d protoreflect.MessageDescriptor) shape {
	var s shape
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		for len(s) <= int(f.Number()) {
			s = append(s, fieldShape{})
		}
		one := fieldShape{known: true}
		switch f.Kind() {
		case protoreflect.MessageKind:
			one.kind, one.inner = protowire.BytesType, shapeOf(f.Message())
		case protoreflect.StringKind, protoreflect.BytesKind:
			one.kind = protowire.BytesType
		case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
			one.kind = protowire.Fixed64Type
		case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
			one.kind = protowire.Fixed32Type
		default:
			one.kind = protowire.VarintType
			one.known = !f.IsList() // numbers in a list come one by one, or all as bytes
		}
		s[f.Number()] = one
	}
	return s
}

// check says what is wrong with the bytes of a message.
func (s shape) check(data []byte) error {
	return fields(data, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		if int(number) >= len(s) || !s[number].known {
			return nil
		}
		f := &s[number]
		if kind != f.kind {
			return fmt.Errorf("field %d has wire type %d instead of %d", number, kind, f.kind)
		}
		if f.inner == nil {
			return nil
		}
		return f.inner.check(value)
	})
}

// fields visits the fields of an encoded message: those with bytes by their value, numbers by x.
func fields(data []byte, visit func(number protowire.Number, kind protowire.Type, value []byte, x uint64) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var value []byte
		var x uint64
		switch kind {
		case protowire.VarintType:
			x, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := visit(number, kind, value, x); err != nil {
			return err
		}
	}
	return nil
}

// splitWork takes the work out of an encoded SiteState: each item encoded, and what is left without them.
func splitWork(data []byte) (work [][]byte, rest []byte, err error) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeField(data)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		if field := data[:n]; number == fieldWork && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(field)
			item, _ := protowire.ConsumeBytes(field[tag:])
			work = append(work, item)
		} else {
			rest = append(rest, field...)
		}
		data = data[n:]
	}
	return work, rest, nil
}
