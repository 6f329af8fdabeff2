package object

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

const containerColumns = "*CONTAINERS|*IMAGES"

func deploymentTable() Table {
	return newTable("NAME|READY|UP-TO-DATE|AVAILABLE|AGE|"+containerColumns+"|*SELECTOR", func(d *appsv1.Deployment, _ time.Time) []string {
		names, images := containers(d.Spec.Template)
		return []string{d.Name, ratio(d.Status.ReadyReplicas, d.Spec.Replicas), number(d.Status.UpdatedReplicas), number(d.Status.AvailableReplicas), "", names, images, selector(d.Spec.Selector)}
	})
}

func statefulSetTable() Table {
	return newTable("NAME|READY|AGE|"+containerColumns, func(s *appsv1.StatefulSet, _ time.Time) []string {
		names, images := containers(s.Spec.Template)
		return []string{s.Name, ratio(s.Status.ReadyReplicas, s.Spec.Replicas), "", names, images}
	})
}

func daemonSetTable() Table {
	return newTable("NAME|DESIRED|CURRENT|READY|UP-TO-DATE|AVAILABLE|NODE SELECTOR|AGE|"+containerColumns+"|*SELECTOR", func(d *appsv1.DaemonSet, _ time.Time) []string {
		names, images := containers(d.Spec.Template)
		s := d.Status
		return []string{
			d.Name, number(s.DesiredNumberScheduled), number(s.CurrentNumberScheduled), number(s.NumberReady), number(s.UpdatedNumberScheduled), number(s.NumberAvailable),
			labelsText(d.Spec.Template.Spec.NodeSelector), "", names, images, selector(d.Spec.Selector),
		}
	})
}

func replicaSetTable() Table {
	return newTable("NAME|DESIRED|CURRENT|READY|AGE|"+containerColumns+"|*SELECTOR", func(r *appsv1.ReplicaSet, _ time.Time) []string {
		names, images := containers(r.Spec.Template)
		return []string{r.Name, number(wanted(r.Spec.Replicas)), number(r.Status.Replicas), number(r.Status.ReadyReplicas), "", names, images, selector(r.Spec.Selector)}
	})
}

func jobTable() Table {
	return newTable("NAME|STATUS|COMPLETIONS|DURATION|AGE|"+containerColumns+"|*SELECTOR", func(j *batchv1.Job, now time.Time) []string {
		names, images := containers(j.Spec.Template)
		return []string{j.Name, jobStatus(j), completions(j), jobDuration(j, now), "", names, images, selector(j.Spec.Selector)}
	})
}

func jobStatus(j *batchv1.Job) string {
	holds := func(kind batchv1.JobConditionType) bool {
		for _, c := range j.Status.Conditions {
			if c.Type == kind && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	}
	switch {
	case holds(batchv1.JobComplete):
		return "Complete"
	case holds(batchv1.JobFailed):
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	case holds(batchv1.JobSuspended):
		return "Suspended"
	case holds(batchv1.JobFailureTarget):
		return "FailureTarget"
	case holds(batchv1.JobSuccessCriteriaMet):
		return "SuccessCriteriaMet"
	}
	return "Running"
}

func completions(j *batchv1.Job) string {
	switch {
	case j.Spec.Completions != nil:
		return fmt.Sprintf("%d/%d", j.Status.Succeeded, *j.Spec.Completions)
	case wanted(j.Spec.Parallelism) > 1:
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, *j.Spec.Parallelism)
	}
	return fmt.Sprintf("%d/1", j.Status.Succeeded)
}

func jobDuration(j *batchv1.Job, now time.Time) string {
	switch {
	case j.Status.StartTime == nil:
		return ""
	case j.Status.CompletionTime != nil:
		return duration.HumanDuration(j.Status.CompletionTime.Sub(j.Status.StartTime.Time))
	case now.IsZero():
		return Unknown
	}
	return duration.HumanDuration(now.Sub(j.Status.StartTime.Time))
}

func cronJobTable() Table {
	return newTable("NAME|SCHEDULE|TIMEZONE|SUSPEND|ACTIVE|LAST SCHEDULE|AGE|"+containerColumns+"|*SELECTOR", func(c *batchv1.CronJob, now time.Time) []string {
		names, images := containers(c.Spec.JobTemplate.Spec.Template)
		zone, last, suspended := none, none, "<unset>"
		if c.Spec.TimeZone != nil {
			zone = *c.Spec.TimeZone
		}
		if c.Status.LastScheduleTime != nil {
			last = since(now, c.Status.LastScheduleTime.Time)
		}
		if c.Spec.Suspend != nil {
			suspended = map[bool]string{true: "True", false: "False"}[*c.Spec.Suspend]
		}
		return []string{c.Name, c.Spec.Schedule, zone, suspended, strconv.Itoa(len(c.Status.Active)), last, "", names, images, selector(c.Spec.JobTemplate.Spec.Selector)}
	})
}

// containers are the names and the images of a template's containers.
func containers(t corev1.PodTemplateSpec) (names, images string) {
	var n, i []string
	for _, c := range t.Spec.Containers {
		n, i = append(n, c.Name), append(i, c.Image)
	}
	return strings.Join(n, ","), strings.Join(i, ",")
}

func selector(s *metav1.LabelSelector) string { return metav1.FormatLabelSelector(s) }

// labelsText shows labels in the order of their keys.
func labelsText(labels map[string]string) string {
	return orNone(strings.ReplaceAll(metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: labels}), none, ""))
}

// wanted is a number that an API server would have filled in; stored objects have it.
func wanted(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

func number(n int32) string { return strconv.Itoa(int(n)) }

func ratio(ready int32, of *int32) string { return fmt.Sprintf("%d/%d", ready, wanted(of)) }
