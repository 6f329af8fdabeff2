package cmd

import (
	"encoding/json"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// lines shows each object as a line of JSON for --json, whatever the form.
type lines struct {
	o    *getOptions
	held held[seenLine]
	dark undecoded
}

// A seenLine is a line and its object; nil if that cannot be decoded.
type seenLine struct {
	line   objectSeen
	object *object.Object
}

// An objectSeen is one line.
type objectSeen struct {
	console.Message
	Key      string          `json:"key"`
	Revision int64           `json:"revision"`
	Bytes    int64           `json:"bytes"`
	Encoding string          `json:"encoding"`
	NotShown []string        `json:"not_shown,omitempty"`
	Newer    string          `json:"newer_version,omitempty"` // that it is stored in today
	Error    string          `json:"error,omitempty"`         // why there is no object
	Object   json.RawMessage `json:"object,omitempty"`
}

// add implements show.
func (l *lines) add(seen ferry.Seen) error {
	l.dark.add(seen)
	line := objectSeen{
		Message: console.NewMessage("object"), Key: string(seen.Key), Revision: seen.ModRevision, Bytes: seen.Size(), Encoding: string(seen.Encoding),
		NotShown: seen.Object.NotShown, Newer: seen.Newer,
	}
	next := seenLine{line: line}
	if seen.Err != nil {
		next.line.Error = seen.Err.Error()
	} else {
		next.object = seen.Object
	}
	return l.held.add(next, func(next seenLine, _ bool) error { return l.print(next, false) })
}

// print prints a line; only a Secret that is alone is shown as it is.
func (l *lines) print(next seenLine, alone bool) error {
	if next.object != nil {
		text, err := l.o.printer.AppendJSON(nil, l.o.shown(next.object, alone), "", "")
		if err != nil {
			return err
		}
		next.line.Object = text
	}
	l.o.s.Object(next.line)
	return nil
}

// end implements show.
func (l *lines) end() error {
	if l.held.count == 1 {
		if err := l.print(l.held.first, l.o.named); err != nil {
			return err
		}
	}
	return l.dark.err()
}
