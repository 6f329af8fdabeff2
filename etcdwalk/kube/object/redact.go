package object

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
)

// lastApplied is where kubectl apply keeps the whole object, a Secret's data too
// (kubectl: pkg/util/apply.go).
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// A Redactor hides what Secrets guard behind HMACs under a key of its own: equal values
// look equal in one run, and nothing else can be learnt, not even a length.
type Redactor struct{ key []byte }

// NewRedactor makes a Redactor with a new key.
func NewRedactor() *Redactor {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // it never fails
	return &Redactor{key}
}

// Redact returns a Secret without its values, and other objects as they are. The Secret
// itself stays as it was.
func (r *Redactor) Redact(o *Object) *Object {
	switch {
	case o.Stray: // nobody knows where it keeps what it guards
		hidden := o.withTree(map[string]any{"apiVersion": o.Meta.APIVersion, "kind": o.Meta.Kind, "metadata": map[string]any{"name": o.Meta.Name, "namespace": o.Meta.Namespace}})
		hidden.NotShown = append([]string{"all but its name: it lies under a key of Secrets, and is none"}, o.NotShown...)
		return hidden
	case !o.IsSecret():
		return o
	}
	tree := maps.Clone(o.Tree())
	for _, member := range []string{"data", "stringData"} {
		if values, ok := tree[member].(map[string]any); ok {
			tree[member] = r.hideAll(values)
		} else if tree[member] != nil {
			tree[member] = r.hide(tree[member])
		}
	}
	// Other tools than kubectl keep data there as well: kapp, Fleet, OpenShift its tokens.
	about, _ := tree["metadata"].(map[string]any)
	if notes, ok := about["annotations"].(map[string]any); ok {
		about = maps.Clone(about)
		about["annotations"], tree["metadata"] = r.hideAll(notes), about
	}
	return o.withTree(tree)
}

func (r *Redactor) hideAll(values map[string]any) map[string]any {
	hidden := make(map[string]any, len(values))
	for name, value := range values {
		hidden[name] = r.hide(value)
	}
	return hidden
}

// hide is what is shown instead of a value.
func (r *Redactor) hide(value any) string {
	mac := hmac.New(sha256.New, r.key)
	_, _ = fmt.Fprintf(mac, "%v", value) // a hash takes everything
	return "hmac:" + hex.EncodeToString(mac.Sum(nil)[:8])
}

// IsSecret tells whether the object is a core Secret, or calls itself nearly so.
func (o *Object) IsSecret() bool {
	return o.Meta.APIVersion == "v1" && strings.EqualFold(o.Meta.Kind, "Secret")
}
