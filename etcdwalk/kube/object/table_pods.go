package object

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func podTable() Table {
	return newTable("NAME|READY|STATUS|RESTARTS|AGE|*IP|*NODE|*NOMINATED NODE|*READINESS GATES", func(p *corev1.Pod, now time.Time) []string {
		s := newPodState(p)
		restarts := strconv.Itoa(s.restarts)
		if s.restarts != 0 && !s.restarted.IsZero() {
			restarts += " (" + since(now, s.restarted) + " ago)"
		}
		ip := p.Status.PodIP
		if len(p.Status.PodIPs) > 0 {
			ip = p.Status.PodIPs[0].IP
		}
		return []string{p.Name, fmt.Sprintf("%d/%d", s.ready, s.total), s.reason, restarts, "", orNone(ip), orNone(p.Spec.NodeName), orNone(p.Status.NominatedNodeName), gates(p)}
	})
}

// A podState is what the columns of a pod tell of its containers.
type podState struct {
	reason          string
	ready, total    int
	restarts        int
	restarted       time.Time // the last time
	sidecarRestarts int
	sidecarLast     time.Time
	sidecars        map[string]bool // init containers that go on running
}

func newPodState(p *corev1.Pod) podState {
	s := podState{total: len(p.Spec.Containers), sidecars: map[string]bool{}, reason: string(p.Status.Phase)}
	if p.Status.Reason != "" {
		s.reason = p.Status.Reason
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			s.reason = corev1.PodReasonSchedulingGated
		}
	}
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			s.sidecars[c.Name] = true
			s.total++
		}
	}
	initializing := s.addInit(p)
	if !initializing || conditionTrue(p, corev1.PodInitialized) {
		s.addContainers(p)
	}
	switch {
	case p.DeletionTimestamp == nil:
	case p.Status.Reason == "NodeLost":
		s.reason = "Unknown"
	case p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded:
		s.reason = "Terminating"
	}
	return s
}

// addInit takes the init containers into account, and tells whether one is still at work.
func (s *podState) addInit(p *corev1.Pod) bool {
	for i, c := range p.Status.InitContainerStatuses {
		s.restarts += int(c.RestartCount)
		s.restarted = later(s.restarted, c)
		sidecar := s.sidecars[c.Name]
		if sidecar {
			s.sidecarRestarts += int(c.RestartCount)
			s.sidecarLast = later(s.sidecarLast, c)
		}
		switch ended, waits := c.State.Terminated, c.State.Waiting; {
		case ended != nil && ended.ExitCode == 0:
			continue
		case sidecar && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case ended != nil:
			s.reason = "Init:" + endReason(ended)
		case waits != nil && waits.Reason != "" && waits.Reason != "PodInitializing":
			s.reason = "Init:" + waits.Reason
		default:
			s.reason = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		return true
	}
	return false
}

// addContainers takes the containers proper into account.
func (s *podState) addContainers(p *corev1.Pod) {
	s.restarts, s.restarted = s.sidecarRestarts, s.sidecarLast
	running, failed := false, ""
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := p.Status.ContainerStatuses[i]
		s.restarts += int(c.RestartCount)
		s.restarted = later(s.restarted, c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.reason = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.reason = endReason(c.State.Terminated)
			if c.State.Terminated.ExitCode != 0 {
				failed = s.reason
			}
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	switch {
	case s.reason != "Completed":
	case running && conditionTrue(p, corev1.PodReady):
		s.reason = "Running"
	case failed != "":
		s.reason = failed
	case running:
		s.reason = "NotReady"
	}
}

func later(t time.Time, c corev1.ContainerStatus) time.Time {
	if ended := c.LastTerminationState.Terminated; ended != nil && t.Before(ended.FinishedAt.Time) {
		return ended.FinishedAt.Time
	}
	return t
}

func endReason(ended *corev1.ContainerStateTerminated) string {
	switch {
	case ended.Reason != "":
		return ended.Reason
	case ended.Signal != 0:
		return fmt.Sprintf("Signal:%d", ended.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", ended.ExitCode)
}

func conditionTrue(p *corev1.Pod, kind corev1.PodConditionType) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// gates are how many of a pod's readiness gates hold.
func gates(p *corev1.Pod) string {
	if len(p.Spec.ReadinessGates) == 0 {
		return none
	}
	hold := 0
	for _, g := range p.Spec.ReadinessGates {
		if conditionTrue(p, g.ConditionType) {
			hold++
		}
	}
	return strings.Join([]string{strconv.Itoa(hold), strconv.Itoa(len(p.Spec.ReadinessGates))}, "/")
}
