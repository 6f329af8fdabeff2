package ferry

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
	return metaOf(class).GroupKind() + " " + name
}
