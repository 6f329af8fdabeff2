package cmd

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/remote"
	"github.com/kubeferry/kubeferry/remote/catalog"
)

// show prints the table, what fits into 80 columns or all, and tells whether there
// was anything to print.
func (o *listOptions) show(listing catalog.Listing, left []string) bool {
	rows := [][]string{{"ID", "CREATED", "AGE", "SIZE", "KEYS", "CLUSTER", "SCOPE", "STATE"}}
	if o.wide {
		rows[0] = append(rows[0], "REVISION", "NAME")
	}
	add := func(name, revision string, cells ...string) {
		if o.wide {
			cells = append(cells, revision, name)
		} else if cells[0] == "-" { // nothing else names it
			cells[len(cells)-1] += " (" + name + ")"
		}
		rows = append(rows, cells)
	}
	now := o.s.Now()
	for _, item := range listing.Items {
		r := item.Receipt
		if r.Name == "" { // it could not be read
			add(item.Name, "-", "-", "-", "-", "-", "-", "-", "-", o.state(item))
			continue
		}
		add(item.Name, strconv.FormatInt(r.Revision, 10), r.ShortID(), console.Moment(r.Created),
			console.Age(now, r.Created), console.Bytes(r.Size), strconv.FormatInt(r.Keys, 10), o.short(r.Cluster), o.short(r.Scope()), o.state(item))
	}
	fragment := func(f catalog.Fragment, state string) {
		add(f.Name, "-", "-", console.Moment(f.Modified), console.Age(now, f.Modified), console.Bytes(f.Size), "-", "-", "-", state)
	}
	for _, f := range listing.Cold {
		fragment(f, "receipt stored cold")
	}
	for _, f := range listing.Unfinished {
		switch {
		case !o.all:
		case f.Size == 0:
			fragment(f, "empty, a reserved name")
		default:
			fragment(f, "no receipt")
		}
	}
	for _, name := range left {
		add(name, "-", "-", "-", "-", "-", "-", "-", "-", "unfinished upload, maybe still running")
	}
	if len(rows) > 1 {
		o.s.Table(rows)
	}
	if n := len(listing.Unfinished); n > 0 && !o.all {
		o.s.Talk("%s without a receipt not shown; use --all to list them.", console.Count(int64(n), "archive"))
	}
	return len(rows) > 1
}

// below names the folders or prefixes in a place without archives: one of them may
// be meant. A store that does not tell has none to offer.
func below(ctx context.Context, store remote.Store) string {
	nested, ok := store.(interface {
		Folders(ctx context.Context) ([]string, error)
	})
	if !ok {
		return ""
	}
	names, err := nested.Folders(ctx)
	if err != nil || len(names) == 0 {
		return ""
	}
	return "; below it there are " + strings.Join(names[:min(len(names), 10)], ", ")
}

// state is what there is to say of an archive; in 80 columns, the gravest of it.
func (o *listOptions) state(item catalog.Item) string {
	r, states := item.Receipt, []string{}
	if item.Broken != "" {
		states = append(states, item.Broken)
	}
	if r.CorruptSource {
		states = append(states, "corrupt source")
	}
	if r.Unreadable() {
		states = append(states, "identity unreadable")
	}
	if until := r.RetainUntil; until.After(o.s.Now()) && o.wide {
		states = append(states, "locked until "+until.Format(time.RFC3339))
	} else if until.After(o.s.Now()) {
		states = append(states, "locked")
	}
	switch {
	case len(states) == 0:
		return "ok"
	case o.wide:
		return strings.Join(states, ", ")
	}
	return states[0]
}

// short cuts a cell, so that a row fits into 80 columns.
func (o *listOptions) short(cell string) string {
	const most = 10
	if runes := []rune(cell); !o.wide && len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return cell
}
