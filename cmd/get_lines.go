package cmd

import (
	"encoding/json"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// lines shows each object as a line of JSON for --json, whatever the form.
type lines struct {
	o     *getOptions
	hide  *object.Redactor
	count int64
	dark  undecoded
}

// An objectSeen is one line.
type objectSeen struct {
	console.Message
	Key      string          `json:"key"`
	Revision int64           `json:"revision"`
	Bytes    int64           `json:"bytes"`
	Encoding string          `json:"encoding"`
	NotShown []string        `json:"not_shown,omitempty"`
	Error    string          `json:"error,omitempty"` // why there is no object
	Object   json.RawMessage `json:"object,omitempty"`
}

// add implements show.
func (l *lines) add(seen ferry.Seen) error {
	l.dark.add(seen)
	l.count++
	line := objectSeen{
		Message: console.NewMessage("object"), Key: string(seen.Key), Revision: seen.ModRevision, Bytes: seen.Size(), Encoding: string(seen.Encoding),
		NotShown: seen.Object.NotShown,
	}
	if seen.Err != nil {
		line.Error = seen.Err.Error()
		l.o.s.Object(line)
		return nil
	}
	shown := *seen.Object
	if l.o.clean {
		shown.Tree = object.Clean(seen.Object)
	}
	if !l.o.reveal && !(l.o.named && l.o.selecting.OneNamespace()) {
		shown = *l.hide.Hidden(&shown)
	}
	text, err := object.ToJSON(shown.Tree, "")
	if err != nil {
		return err
	}
	line.Object = text
	l.o.s.Object(line)
	return nil
}

// end implements show.
func (l *lines) end() error {
	l.o.s.Result = objectsResult{l.count}
	return l.dark.err()
}
