package ferry

import (
	"context"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// What only some sources and views know is asked for through these: a story works
// without them.

// A scoped source holds what lies under these prefixes, and nothing else, as an
// archive does.
type scoped interface{ Prefixes() []string }

// within is the query, under the source's own prefixes if it names none.
func within(source etcdwalk.Source, q kube.Query) (kube.Query, error) {
	if s, ok := source.(scoped); ok {
		return q.Under(s.Prefixes()...)
	}
	return q, nil
}

// A partial view may hold less than all that lies under its prefixes.
type partial interface{ Partial() bool }

func isPartial(view etcdwalk.View) bool {
	p, ok := view.(partial)
	return ok && p.Partial()
}

// A vouched view was looked through: each of its values is one that an API server
// would read under its key, and who reads it again gets the same values.
type vouched interface {
	scoped
	Storable() bool
}

// isStorable tells whether a view was looked through, under the same prefixes.
func isStorable(view etcdwalk.View, q kube.Query) bool {
	v, ok := view.(vouched)
	return ok && v.Storable() && slices.Equal(q.Words().Prefixes, v.Prefixes())
}

// An ended view tells how its walks have ended. Others are of one moment.
type ended interface{ Outcome() etcdwalk.Outcome }

func outcomeOf(view etcdwalk.View) etcdwalk.Outcome {
	if v, ok := view.(ended); ok {
		return v.Outcome()
	}
	return etcdwalk.Outcome{Consistent: true}
}

// An alarmed view is of a cluster that raises alarms.
type alarmed interface {
	Alarms(ctx context.Context) ([]etcdwalk.Alarm, error)
}

// alarmsOf asks for the alarms that are raised now.
func alarmsOf(ctx context.Context, view etcdwalk.View) ([]etcdwalk.Alarm, error) {
	if a, ok := view.(alarmed); ok {
		return a.Alarms(ctx)
	}
	return nil, nil
}

// A doubter is a view that can have parts of its walks read again through other
// members, and tell of what differs by its Outcome.
type doubter interface{ Doubt() }

// A comparer is a view whose cluster can compare the whole keyspace of its members.
type comparer interface {
	// CompareMembers tells how many were compared, and what differs.
	CompareMembers(ctx context.Context) (compared int, doubts []string, err error)
}

// A particular target cannot hold everything.
type particular interface {
	// Holds tells why the target cannot hold an entry of a view of that API: an
	// etcdwalk.ErrNeedless if nothing is lost without it; nil: it can.
	Holds(from etcdwalk.API, e etcdwalk.Entry) error
}

// A sequential target wants one batch after the other.
type sequential interface{ Sequential() bool }

func isSequential(target etcdwalk.Target) bool {
	s, ok := target.(sequential)
	return ok && s.Sequential()
}
