package object

import (
	"context"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
)

// OfTree is an object that was not decoded.
func OfTree(m Meta, tree map[string]any) *Object { return &Object{Meta: m, tree: tree} }

// ToJSON is what a Printer has to print, as the libraries make it.
func (o *Object) ToJSON(indent string) ([]byte, error) {
	shown := any(o.Tree())
	if o.typed != nil {
		shown = o.typed
	}
	made, err := json.Marshal(shown)
	if err != nil && o.typed != nil && o.encode() == nil {
		made, err = o.text, nil
	}
	if err != nil {
		return nil, errJSON
	}
	text := jsontext.Value(made)
	err = text.Format(jsontext.ReorderRawObjects(true), jsontext.EscapeForJS(true), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true),
		jsontext.WithIndentPrefix(indent), jsontext.WithIndent("    "))
	if err != nil {
		return nil, errJSON
	}
	if text = append(text, '\n'); plain(text) {
		return text, nil
	}
	return []byte(escape(string(text))), nil
}

// Taken are the ports that a RangeAllocation says are taken.
func Taken(value []byte) (taken map[int]bool, err error) {
	p, err := parsePorts(value)
	if err != nil {
		return nil, err
	}
	taken = map[int]bool{}
	for i := range p.taken.BitLen() {
		if p.taken.Bit(i) == 1 {
			taken[p.first+i] = true
		}
	}
	return taken, nil
}

// Edit changes what may be encrypted at rest.
func (o *Opener) Edit(ctx context.Context, key, value []byte, change func([]byte) ([]byte, error)) ([]byte, error) {
	return o.edit(ctx, key, value, change)
}
