package ferry

import (
	"context"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/health"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// Values is what was seen of the values of a view.
type Values struct {
	// Encodings counts the values by the form they are stored in.
	Encodings health.Encodings
	// Unopened counts those of them that the keys of an EncryptionConfiguration do not
	// open, if one was given.
	Unopened health.Encodings
	// Unstorable counts the values that no kube-apiserver would read under
	// their keys, and Examples names the first of them with the reason.
	Unstorable int64
	Examples   []string

	opener *object.Opener // nil: what is encrypted at rest stays so
}

// maxExamples bounds what is remembered of each finding.
const maxExamples = 20

// look looks at one value, of that encoding.
func (v *Values) look(ctx context.Context, layout *kube.Layout, e etcdwalk.Entry, encoding object.Encoding) {
	value := e.Value
	v.Encodings.Add(encoding)
	if v.opener != nil {
		var err error
		if value, err = v.opener.Open(ctx, e.Key, e.Value); err != nil {
			v.Unopened.Add(encoding)
			return
		}
	}
	if err := layout.CheckValue(e.Key, value); err != nil {
		v.Unstorable++
		if len(v.Examples) < maxExamples {
			v.Examples = append(v.Examples, err.Error())
		}
	}
}
