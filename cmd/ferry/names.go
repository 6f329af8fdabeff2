package ferry

import (
	"strings"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// Name is how kubectl calls what lies under a key, such as "configmap shop/app"; the key
// itself if it is no object's.
func (p *Planned) Name(key []byte) string {
	class := p.layout.Classify(key)
	if class.Name == "" {
		return string(key)
	}
	name := class.Name
	if class.Namespace != "" {
		name = class.Namespace + "/" + name
	}
	kind := class.Kind
	if k, known := kube.KindNamed(kind); known && k.Kind != "" {
		if kind = strings.ToLower(k.Kind); k.Group != "" {
			kind += "." + k.Group
		}
	}
	return kind + " " + name
}
