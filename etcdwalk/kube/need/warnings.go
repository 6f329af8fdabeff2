package need

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubeferry/kubeferry/etcdwalk/kube"
)

// mostWarnings bounds what is remembered of what does not forbid a restore.
const mostWarnings = 50

// Warnings say what is to be expected of what would be written, each once, in order.
func (c *Checks) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.warnings))
}

func (c *Checks) warn(rule, text string) {
	text = rule + ": " + text
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.warnings) < mostWarnings && !slices.Contains(c.warnings, text) {
		c.warnings = append(c.warnings, text)
	}
}

// schedule: a CronJob makes up for what it missed (kubernetes: pkg/controller/cronjob).
func (j *judgement) schedule(_ context.Context, cron field) (string, []want, error) {
	if suspended, _ := cron.in("spec")["suspend"].(bool); suspended || !j.anew || !j.Rules.Binds(kube.MissedSchedules) {
		return "", nil, nil
	}
	j.warn(kube.MissedSchedules, fmt.Sprintf("cronjob %s/%s may run at once, for a time that has passed since the backup", j.class.Namespace, j.class.Name))
	return "", nil, nil
}

// eachOwner adds the object's owners one by one where there are several: those that are
// nowhere are only warned of, since one that is there suffices.
func (j *judgement) eachOwner(ctx context.Context, wants []want) ([]want, error) {
	if len(j.meta.Owners) < 2 || !j.Rules.Binds(kube.AbsentOwners) {
		return wants, nil
	}
	for _, o := range j.meta.Owners {
		if j.Survey.Holds(j.class.Namespace, o) {
			continue
		}
		key, err := j.keyOf(ctx, j.class.Prefix, refer(j.class.Namespace, o))
		if err != nil {
			return nil, err
		}
		wants = append(wants, want{rule: kube.AbsentOwners, any: []candidate{{key: key, uid: o.UID}}, warn: fmt.Sprintf(
			"%s %s/%s names %s %s (uid %s), which is not in the cluster and not selected: the garbage collector takes the reference off", j.class.Kind, j.class.Namespace, j.class.Name, o.Kind, o.Name, o.UID)})
	}
	return wants, nil
}
