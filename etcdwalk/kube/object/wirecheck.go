package object

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A wireMessage is a compiled-in type of Kubernetes that protobuf can carry.
type wireMessage interface {
	Unmarshal(data []byte) error
}

// mostLost bounds how many paths are named: a hostile value can have one in two bytes.
const mostLost = 64

// deepest bounds how deep messages are followed.
const deepest = 100

// A wireCheck goes through a message that is to be decoded into a type. The types' decoders
// drop without a word what they do not know, and take a quantity for as long as it needs.
type wireCheck struct {
	lost []string // paths of fields that the type does not know, or keeps only one of
}

// A wirePath is where a message is: in the field of another.
type wirePath struct {
	above *wirePath
	name  string
	depth int
}

// String names a path; inlined members have no name.
func (p *wirePath) String() string {
	if p.above == nil {
		return p.name
	}
	return join(p.above.String(), p.name)
}

// message checks a message at a path.
func (c *wireCheck) message(shape *wireShape, path *wirePath, text []byte) error {
	if path.depth > deepest {
		c.lose(path)
		return nil
	}
	var seen [mostFields / 64]uint64 // of the fields that can be there once, those that were
	for len(text) > 0 {
		number, kind, n := protowire.ConsumeTag(text)
		if n < 0 {
			return protowire.ParseError(n)
		}
		text = text[n:]
		inner := text
		if kind == protowire.BytesType {
			inner, n = protowire.ConsumeBytes(text)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, text)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		text = text[n:]
		f := shape.field(number)
		if f == nil {
			c.lose(&wirePath{above: path, name: fmt.Sprintf("(field %d)", number)})
			continue
		}
		if bit := uint64(1) << (number % 64); !f.repeated && seen[number/64]&bit != 0 || f.dropped && !bytes.HasPrefix(inner, []byte{0}) {
			c.lose(&wirePath{above: path, name: f.name})
		} else {
			seen[number/64] |= bit
		}
		switch {
		case kind != protowire.BytesType:
		case f.quantity && outsized(inner):
			return errQuantity
		case f.inner != nil:
			if err := c.message(f.inner, &wirePath{path, f.name, path.depth + 1}, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *wireCheck) lose(at *wirePath) {
	if len(c.lost) == mostLost {
		return
	}
	if path := at.String(); len(c.lost) == 0 || c.lost[len(c.lost)-1] != path {
		c.lost = append(c.lost, path)
	}
}

// join puts a name behind a path; inlined members have none.
func join(path, name string) string {
	switch {
	case path == "":
		return name
	case name == "":
		return path
	}
	return path + "." + name
}
