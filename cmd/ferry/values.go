package ferry

import (
	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// Values is what was seen of the values of a view.
type Values struct {
	// Encodings counts the values by the form they are stored in. It must be made.
	Encodings map[string]int64
	// Unstorable counts the values that no kube-apiserver would read under
	// their keys, and Examples names the first of them with the reason.
	Unstorable int64
	Examples   []string
}

// maxExamples bounds what is remembered of each finding.
const maxExamples = 20

// see looks at one value.
func (v *Values) see(layout *kube.Layout, e etcdwalk.Entry) {
	v.Encodings[string(object.EncodingOf(e.Value))]++
	if err := layout.CheckValue(e.Key, e.Value); err != nil {
		v.Unstorable++
		if len(v.Examples) < maxExamples {
			v.Examples = append(v.Examples, err.Error())
		}
	}
}
