package ferry

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// A Look looks at the objects that a query takes in a source.
type Look struct {
	Source etcdwalk.Source
	Query  kube.Query
	// Names asks for no more than what objects are called: they have no tree.
	Names bool
	// Prepare, which may be nil, appends to a text what is to be said of an object, before it
	// is told of: of several at once. One that it has an error for counts as not decoded.
	Prepare func(*Seen, []byte) ([]byte, error)
}

// A Seen is what lies under one key.
type Seen struct {
	etcdwalk.Class
	etcdwalk.Entry
	Encoding object.Encoding // as it is stored
	Object   *object.Object  // without a tree if the value cannot be decoded
	Err      error           // why
	Taken    time.Time       // the moment of the source; zero: not known
	// Definition is that of a custom resource's kind; nil if the source has none that can
	// be read.
	Definition *object.Object
	// Text is what Look.Prepare has made of it, until it has been told of.
	Text []byte
	// Newer is the apiVersion that such objects are stored in today, if it is another.
	Newer string
}

// Usual tells whether the object is of the kind that its key says, as far as that is known.
func (s Seen) Usual() bool {
	k, known := kube.KindNamed(s.Kind)
	return !known || k.Kind == s.Object.Meta.Kind
}

// Run tells of each object, ascending by key, and counts them. What is called by its
// name and not there is an ErrEmpty, and so is nothing.
func (l Look) Run(ctx context.Context, tell func(Seen) error) (int64, error) {
	definitions := definitions{opener: l.Query.Opener(), stored: map[string]map[string][]byte{}}
	var queue *lookQueue
	var failed error
	n, err := l.Keys(ctx, func(view etcdwalk.View, class etcdwalk.Class, e etcdwalk.Entry) bool {
		if queue == nil {
			queue = newLookQueue(func(f found, text []byte) (Seen, []byte) { return l.see(ctx, view.Info(), f, text) }, tell)
		}
		var definition *object.Object
		if !l.Names {
			definition = definitions.of(ctx, view, class)
		}
		failed = queue.add(class, e, definition)
		return failed == nil
	})
	if queue != nil && failed == nil {
		failed = queue.end()
	}
	return n, cmp.Or(failed, err)
}

// Keys tells of each key that the query takes in the source, ascending, until it is told
// to stop, and counts them. What is called by its name and not there is an ErrEmpty, and so
// is nothing; a namespace that is not there is a kube.ErrFilter.
func (l Look) Keys(ctx context.Context, tell func(etcdwalk.View, etcdwalk.Class, etcdwalk.Entry) bool) (int64, error) {
	q, err := within(l.Source, l.Query)
	if err != nil {
		return 0, err
	}
	layout := q.Layout()
	view, err := l.Source.Open(ctx, etcdwalk.Newest, layout.Scope())
	if err != nil {
		return 0, err
	}
	catalog := q.Catalog(view)
	sel, err := catalog.Resolve(ctx, q)
	if err != nil {
		return 0, err
	}
	if err := mistyped(ctx, q, catalog); err != nil {
		return 0, err
	}
	var shown int64
	for e, err := range view.Walk(ctx, sel) {
		if err != nil {
			return shown, err
		}
		shown++
		if !tell(view, layout.Classify(e.Key), e) {
			return shown, nil
		}
	}
	if err := sel.Err(); err != nil {
		return shown, err
	}
	if shown == 0 {
		return 0, fmt.Errorf("nothing in it matches the selection%.0w", ErrEmpty)
	}
	return shown, ctx.Err()
}

// mistyped refuses a namespace that is not there, as it does a kind: who looks has mistyped
// it. An object that is not there is an ErrEmpty.
func mistyped(ctx context.Context, q kube.Query, catalog *kube.Catalog) error {
	namespaces, err := catalog.AbsentNamespaces(ctx, q)
	if err != nil {
		return err
	}
	if err := notFound(namespaces, kube.ErrFilter); err != nil {
		return err
	}
	absent, err := catalog.Absent(ctx, q)
	if err != nil {
		return err
	}
	return notFound(absent, ErrEmpty)
}

// see decodes one value, and appends what is to be said of it to a text.
func (l Look) see(ctx context.Context, info etcdwalk.Info, f found, text []byte) (Seen, []byte) {
	s := Seen{Class: f.Class, Entry: f.Entry, Definition: f.definition, Encoding: object.EncodingOf(f.Value), Taken: info.Taken}
	if l.Names {
		s.Object = &object.Object{Encoding: s.Encoding}
		s.Object.Meta, s.Err = l.Query.Opener().Read(ctx, f.Key, f.Value)
	} else {
		s.Object, s.Err = l.Query.Opener().Decode(ctx, f.Key, f.Value)
	}
	if s.Err != nil {
		s.Object = &object.Object{Encoding: s.Encoding, Meta: metaOf(f.Class)}
		return s, text
	}
	s.Object.Stray = f.Kind == "secrets" && !s.Object.IsSecret()
	s.Newer = s.Object.Newer(f.definition)
	if l.Prepare == nil {
		return s, text
	}
	longer, err := l.Prepare(&s, text)
	if err != nil {
		s.Err = fmt.Errorf("%w: %w", object.ErrUndecodable, err)
		return s, text
	}
	s.Text = longer[len(text):len(longer):len(longer)]
	return s, longer
}

// metaOf is what a key says of the object.
func metaOf(class etcdwalk.Class) object.Meta {
	m := object.Meta{Kind: class.Kind, Name: class.Name, Namespace: class.Namespace}
	if k, ok := kube.KindNamed(class.Kind); ok {
		m.APIVersion, m.Kind = k.Group+"/", k.Kind
	}
	return m
}
