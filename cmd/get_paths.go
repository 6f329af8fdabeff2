package cmd

import (
	"bytes"
	"slices"

	"github.com/kubeferry/kubeferry/cmd/console"
	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// paths fills in a template, or columns that the user has made up. It keeps all
// objects, as kubectl does.
type paths struct {
	o     *getOptions
	found []*object.Object
	dark  undecoded
}

// add implements show.
func (p *paths) add(seen ferry.Seen) error {
	p.dark.add(seen)
	if seen.Err == nil {
		warnNotShown(p.o, seen)
		if err := p.o.oneOnly(int64(len(p.found)) + 1); err != nil {
			return err
		}
		p.found = append(p.found, seen.Object)
	}
	return nil
}

// end implements show.
func (p *paths) end() error {
	alone := p.o.named && len(p.found) == 1
	for i, o := range p.found {
		p.found[i] = p.o.shown(o, alone)
	}
	if p.o.form.shape == asColumns {
		if err := p.table(); err != nil {
			return err
		}
		return p.dark.err()
	}
	text, err := p.o.form.template.Text(alone, p.found...)
	if err != nil {
		return err
	}
	p.o.s.Verbatim(text)
	return p.dark.err()
}

// table shows the columns.
func (p *paths) table() error {
	var rows [][]string
	if !p.o.noHeads {
		var heads []string
		for _, c := range p.o.form.columns {
			heads = append(heads, c.head)
		}
		rows = append(rows, heads)
	}
	for _, o := range p.found {
		var cells []string
		for _, c := range p.o.form.columns {
			cell, err := c.path.Cell(o)
			if err != nil {
				return err
			}
			cells = append(cells, cell)
		}
		rows = append(rows, cells)
	}
	p.o.s.KubectlTable(rows)
	return nil
}

// sorted hands objects on in the order of what a path finds, of each kind by itself.
type sorted struct {
	next show
	by   object.Path
	hide *object.Redactor // the order of Secrets tells of their values
	all  []sortedOne
	// what has been sorted by something
	found int
	typed string
}

// A sortedOne is an object with what it is sorted by.
type sortedOne struct {
	seen ferry.Seen
	key  object.Key
}

// add implements show.
func (s *sorted) add(seen ferry.Seen) error {
	seen.Key, seen.Value = bytes.Clone(seen.Key), bytes.Clone(seen.Value) // they are the walk's
	key := s.by.Key(s.hide.Redact(seen.Object))
	if key.Found() {
		s.found++
	}
	s.all = append(s.all, sortedOne{seen, key})
	return nil
}

// end implements show.
func (s *sorted) end() error {
	if len(s.all) > 0 && s.found == 0 {
		return console.Usagef("--sort-by: none of the objects has %s", s.typed)
	}
	for begin := 0; begin < len(s.all); {
		end := begin + 1
		for end < len(s.all) && s.all[end].seen.Kind == s.all[begin].seen.Kind {
			end++
		}
		slices.SortStableFunc(s.all[begin:end], func(a, b sortedOne) int { return a.key.Compare(b.key) })
		begin = end
	}
	for _, one := range s.all {
		if err := s.next.add(one.seen); err != nil {
			return err
		}
	}
	return s.next.end()
}
