package object

// OfTree is an object that was not decoded.
func OfTree(m Meta, tree map[string]any) *Object { return &Object{Meta: m, tree: tree} }
