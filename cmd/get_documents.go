package cmd

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// documents shows objects whole: one that is called by its name as it is, others as the
// items of a List, as they come.
type documents struct {
	o    *getOptions
	held held[document]
	dark undecoded
}

// A document is an object and what there is to say of it.
type document struct {
	object *object.Object
	about  string
	older  string
	text   []byte // as an item, if it was made before
}

func (d *documents) document(seen ferry.Seen) document {
	if d.o.form.shape == asJSON { // which has no room for notes
		return document{object: seen.Object, text: seen.Text}
	}
	about := fmt.Sprintf("%s, revision %d, %s", console.Printable(string(seen.Key)), seen.ModRevision, seen.Encoding)
	return document{seen.Object, about, olderText(seen), seen.Text}
}

// prepare makes the text of an item.
func (d *documents) prepare(seen *ferry.Seen, out []byte) ([]byte, error) {
	return d.text(out, d.document(*seen), false)
}

// itemIndent stands before the lines of an item, in JSON.
const itemIndent = "        "

// add implements show.
func (d *documents) add(seen ferry.Seen) error {
	d.dark.add(seen)
	if seen.Err != nil {
		return nil
	}
	next := d.document(seen)
	warnNotShown(d.o, seen)
	if err := d.o.oneOnly(d.held.count + 1); err != nil {
		return err
	}
	if d.held.count == 0 {
		next.text = bytes.Clone(next.text) // which is ours only for now
	}
	return d.held.add(next, d.item)
}

// warnNotShown names the fields of an object that kubeferry does not know.
func warnNotShown(o *getOptions, seen ferry.Seen) {
	if lost := seen.Object.NotShown; len(lost) > 0 {
		o.s.Warn("%s has fields that are not shown: %s", console.Printable(string(seen.Key)), console.Printable(strings.Join(lost, ", ")))
	}
}

// end implements show.
func (d *documents) end() error {
	switch {
	case d.held.count == 1 && d.o.named:
		text, err := d.text(nil, d.held.first, true)
		if err != nil {
			return err
		}
		d.o.s.Text(string(text))
	case d.held.count == 1:
		if err := d.item(d.held.first, true); err != nil {
			return err
		}
		fallthrough
	case d.held.count > 1:
		d.o.s.Text(listEnds[d.o.form.shape])
	}
	return d.dark.err()
}

// How a List begins, what stands between its items, and how it ends.
var (
	listBegins = map[shape]string{asYAML: "apiVersion: v1\nitems:\n", asJSON: "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n        "}
	listParts  = map[shape]string{asJSON: ",\n        "}
	listEnds   = map[shape]string{
		asYAML: "kind: List\nmetadata:\n  resourceVersion: \"\"\n",
		asJSON: "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n",
	}
)

// item prints an item of a List.
func (d *documents) item(next document, first bool) error {
	text := next.text
	if text == nil {
		var err error
		if text, err = d.text(nil, next, false); err != nil {
			return err
		}
	}
	if first {
		d.o.s.Text(listBegins[d.o.form.shape])
		d.o.s.Bytes(text[len(listParts[d.o.form.shape]):])
	} else {
		d.o.s.Bytes(text)
	}
	return nil
}

// text appends an object in the form that was asked for, one that is alone, or an item with
// what stands between it and the one before.
func (d *documents) text(out []byte, next document, alone bool) ([]byte, error) {
	shown := d.o.shown(next.object, alone)
	switch {
	case d.o.form.shape == asJSON && alone:
		return d.o.printer.AppendJSON(out, shown, "", "")
	case d.o.form.shape == asJSON:
		out, err := d.o.printer.AppendJSON(out, shown, listParts[asJSON], itemIndent)
		return bytes.TrimSuffix(out, []byte("\n")), err
	}
	text, err := shown.ToYAML()
	if err != nil {
		return out, err
	}
	if !alone {
		text = append([]byte("- "), bytes.TrimSuffix(bytes.ReplaceAll(text, []byte("\n"), []byte("\n  ")), []byte("  "))...)
	}
	out = fmt.Appendf(out, "# %s\n", next.about)
	if next.older != "" {
		out = fmt.Appendf(out, "# %s\n", next.older)
	}
	if len(shown.NotShown) > 0 {
		out = fmt.Appendf(out, "# not shown: %s\n", console.Printable(strings.Join(shown.NotShown, ", ")))
	}
	return append(out, text...), nil
}
