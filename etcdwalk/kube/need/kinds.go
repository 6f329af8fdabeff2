package need

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk"
	"github.com/kubeferry/kubeferry/etcdwalk/kube"
	"github.com/kubeferry/kubeferry/etcdwalk/kube/object"
)

// kinds are the rules about objects of one kind.
var kinds = map[string]func(*judgement, context.Context, field) (string, []want, error){
	"secrets":                            (*judgement).token,
	"persistentvolumeclaims":             (*judgement).claim,
	"persistentvolumes":                  (*judgement).volume,
	"jobs.batch":                         (*judgement).job,
	"services":                           (*judgement).service,
	"pods":                               (*judgement).homeless,
	"cronjobs.batch":                     (*judgement).schedule,
	definitions:                          (*judgement).conversion,
	"apiservices.apiregistration.k8s.io": (*judgement).aggregated,
	"mutatingwebhookconfigurations.admissionregistration.k8s.io":   (*judgement).webhooks,
	"validatingwebhookconfigurations.admissionregistration.k8s.io": (*judgement).webhooks,
}

// kind says what an object of its kind needs, or why it must not be written. A value that
// cannot be decoded needs nothing that is known.
func (j *judgement) kind(ctx context.Context, e etcdwalk.Entry) (reason string, wants []want, err error) {
	rule, has := kinds[j.class.Kind]
	switch {
	case !has, j.class.Kind == "secrets" && noToken(e.Value):
		return "", nil, nil
	case j.class.Kind == "pods" && slices.ContainsFunc(j.meta.Owners, func(o object.Owner) bool { return o.Controller }):
		return "", nil, nil // its controller sees to it
	}
	o, err := j.Opener.Decode(ctx, e.Key, e.Value)
	if err != nil {
		return "", nil, nil //nolint:nilerr // what it needs is not known; its metadata has been judged
	}
	return rule(j, ctx, field(o.Tree()))
}

// A field reads members of an object.
type field map[string]any

func (f field) in(path ...string) field {
	for _, name := range path {
		f, _ = f[name].(map[string]any)
	}
	return f
}

func (f field) text(name string) string { s, _ := f[name].(string); return s }

func (f field) list(name string) []any { l, _ := f[name].([]any); return l }

// accountToken is the type of Secrets that are tokens of an account.
const accountToken = "kubernetes.io/service-account-token"

// noToken tells of the value of a Secret, without decoding it, that it is no token. It is
// sure only where texts are stored as they are.
func noToken(value []byte) bool {
	return object.EncodingOf(value) == object.Protobuf && !bytes.Contains(value, []byte(accountToken))
}

// token: a token Secret is deleted with its account (kubernetes:
// pkg/controller/serviceaccount/tokens_controller.go).
func (j *judgement) token(ctx context.Context, secret field) (string, []want, error) {
	if secret.text("type") != accountToken || !j.Rules.Binds(kube.Closure) {
		return "", nil, nil
	}
	notes := secret.in("metadata", "annotations")
	account := object.Owner{APIVersion: "v1", Kind: "ServiceAccount", Name: notes.text("kubernetes.io/service-account.name"), UID: notes.text("kubernetes.io/service-account.uid")}
	selected := j.Survey.Holds(j.class.Namespace, account)
	if selected && !j.Keeps {
		return "", nil, nil
	}
	what := "is not in the cluster and not selected: the token would be deleted; --with-owners takes it along"
	if selected {
		what = "would stay another's, since the policy on conflicts keeps that: the token would be deleted"
	}
	key, err := j.keyOf(ctx, j.class.Prefix, refer(j.class.Namespace, account))
	return "", []want{{rule: kube.Closure, any: []candidate{{key, account.UID, selected}}, miss: fmt.Sprintf(
		"its account, serviceaccount/%s (uid %s), %s", account.Name, account.UID, what)}}, err
}

// job: one that comes back without its pods begins again.
func (j *judgement) job(_ context.Context, job field) (string, []want, error) {
	if !j.anew || !j.Rules.Binds(kube.RunningJobs) {
		return "", nil, nil
	}
	if job.in("status").text("completionTime") != "" {
		return "", nil, nil
	}
	for _, c := range job.in("status").list("conditions") {
		condition, _ := c.(map[string]any)
		kind, is := field(condition).text("type"), field(condition).text("status")
		if (kind == "Complete" || kind == "Failed") && is == "True" {
			return "", nil, nil
		}
	}
	if suspended, _ := job.in("spec")["suspend"].(bool); suspended {
		return "", nil, nil
	}
	return kube.RunningJobs + ": it has not finished, and would run again from the beginning", nil, nil
}
