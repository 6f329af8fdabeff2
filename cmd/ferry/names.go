package ferry

// Name is how kubectl calls what lies under a key, such as "configmap shop/app"; the key
// itself if it is no object's.
func (p *Planned) Name(key []byte) string { return p.layout.Name(key) }
