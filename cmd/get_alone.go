package cmd

import (
	"fmt"

	"github.com/kubeferry/kubeferry/cmd/ferry"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// oneOnly refuses a name that turns out to be of several objects, where not a table shows
// that: who pipes it on means one.
func (o *getOptions) oneOnly(n int64) error {
	if n < 2 || !o.named || o.selecting.All() || o.selecting.Namespaced() {
		return nil
	}
	return fmt.Errorf("the name is in several namespaces: add -n NAMESPACE, or -A for all%.0w", ferry.ErrSeveral)
}

// shown is what may be shown of an object: a Secret as it is only if it is alone.
func (o *getOptions) shown(of *object.Object, alone bool) *object.Object {
	if o.clean {
		of = of.Clean()
	}
	if !alone && !o.reveal {
		of = o.hide.Redact(of)
	}
	return of
}
