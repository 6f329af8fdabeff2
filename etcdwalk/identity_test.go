package etcdwalk

import "testing"

// TestRelate: each pair of identities, with etcd's ids equal, different and
// unknown. The relation is the same from either side.
func TestRelate(t *testing.T) {
	uid := func(u string) Identity { return Identity{State: IdentityUID, UID: u} }
	unreadable := func(sum string) Identity { return Identity{State: IdentityUnreadable, SHA256: sum} }
	none, untold := Identity{State: IdentityNone}, Identity{}
	for _, c := range []struct {
		name                  string
		a, b                  Identity
		equal, other, unknown Relation // by etcd's ids
	}{
		{"equal UIDs", uid("u"), uid("u"), SameCluster, SameCluster, SameCluster},
		{"other UIDs", uid("u"), uid("v"), OtherCluster, OtherCluster, OtherCluster},
		{"no kube-system", none, none, SameCluster, OtherStore, Undecided},
		{"a UID and none", uid("u"), none, SameCluster, OtherStore, Undecided},
		{"unreadable, equal bytes", unreadable("x"), unreadable("x"), SameCluster, SameCluster, SameCluster},
		{"unreadable, other bytes", unreadable("x"), unreadable("y"), Undecided, Undecided, Undecided},
		{"unreadable, without a digest", unreadable(""), unreadable(""), Undecided, Undecided, Undecided},
		{"unreadable and a UID", unreadable("x"), uid("u"), Undecided, Undecided, Undecided},
		{"unreadable and none", unreadable("x"), none, Undecided, Undecided, Undecided},
		{"untold and a UID", untold, uid("u"), Undecided, Undecided, Undecided},
		{"a state of a later version", Identity{State: "later"}, uid("u"), Undecided, Undecided, Undecided},
	} {
		for _, ids := range []struct {
			a, b ClusterID
			want Relation
		}{{1, 1, c.equal}, {1, 2, c.other}, {0, 1, c.unknown}, {1, 0, c.unknown}, {0, 0, c.unknown}} {
			if got, back := c.a.Relate(ids.a, c.b, ids.b), c.b.Relate(ids.b, c.a, ids.a); got != ids.want || back != ids.want {
				t.Errorf("%s, etcd's ids %d and %d: got %d and back %d, want %d", c.name, ids.a, ids.b, got, back, ids.want)
			}
		}
	}
}
