package wire

import (
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"orderyard/messages"
)

// What a site's document holds only so that rules of operators can ask about it. Its lengths are the site's to check.

// SiteCarrier is a service that collects parcels at a site; without a service it is all of the carrier's.
type SiteCarrier struct {
	Name    string `json:"name"`
	Service string `json:"service,omitempty"`
}

// SiteValue is the value of one of a site's own fields: a string, an int64 or a bool.
type SiteValue struct{ any }

// MarshalJSONTo writes the value.
func (v SiteValue) MarshalJSONTo(enc *jsontext.Encoder) error {
	switch value := v.any.(type) {
	case string:
		return enc.WriteToken(jsontext.String(value))
	case int64:
		return enc.WriteToken(jsontext.Int(value))
	case bool:
		return enc.WriteToken(jsontext.Bool(value))
	}
	return enc.WriteToken(jsontext.Null)
}

var errSiteValue = errors.New("must be a string, a whole number, or true or false")

// UnmarshalJSONFrom reads the value strictly: what a rule could not compare exactly is refused.
func (v *SiteValue) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch raw.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, raw)
		v.any = string(text)
		return err
	case 't', 'f':
		v.any = raw.Kind() == 't'
		return nil
	case '0':
		n, err := strconv.ParseInt(string(raw), 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange):
			return errors.New("is out of range: whole numbers have at most 64 bits")
		case err != nil:
			return errors.New("must be a whole number without fraction or exponent")
		}
		v.any = n
		return nil
	}
	return errSiteValue
}

// ruled puts into the message what rules ask about; own fields by name, so that the same content always has the same bytes.
func (d *Site) ruled(m *messages.SiteDoc) {
	m.Region, m.Rank, m.Markets = d.Region, d.Rank, d.Markets
	for _, c := range d.Carriers {
		m.Carriers = append(m.Carriers, &messages.SiteCarrier{Name: c.Name, Service: c.Service})
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		a := &messages.SiteAttribute{Name: name}
		switch value := d.Attributes[name].any.(type) {
		case string:
			a.Value = &messages.SiteAttribute_Text{Text: value}
		case int64:
			a.Value = &messages.SiteAttribute_Number{Number: value}
		case bool:
			a.Value = &messages.SiteAttribute_Truth{Truth: value}
		}
		m.Attributes = append(m.Attributes, a)
	}
}

// tellRuled is ruled the other way round.
func (d *Site) tellRuled(m *messages.SiteDoc) {
	d.Region, d.Rank, d.Markets = m.GetRegion(), m.GetRank(), m.GetMarkets()
	for _, c := range m.GetCarriers() {
		d.Carriers = append(d.Carriers, SiteCarrier{c.GetName(), c.GetService()})
	}
	for _, a := range m.GetAttributes() {
		var v SiteValue
		switch value := a.GetValue().(type) {
		case *messages.SiteAttribute_Text:
			v.any = value.Text
		case *messages.SiteAttribute_Number:
			v.any = value.Number
		case *messages.SiteAttribute_Truth:
			v.any = value.Truth
		default:
			continue // of a later version
		}
		if d.Attributes == nil {
			d.Attributes = make(map[string]SiteValue, len(m.GetAttributes()))
		}
		d.Attributes[a.GetName()] = v
	}
}
