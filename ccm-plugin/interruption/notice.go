package interruption

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockcloud.dev/ccm-plugin/client/api"
)

const (
	// TaintKey is that of the taint; its value is the kind of the most pressing notice.
	TaintKey = "mockcloud.dev/interruption"
	// AnnotationNotices of a Node has the ids of the open notices that an Event has told of.
	AnnotationNotices = "mockcloud.dev/interruption-notices"
	// EventReason is that of the Events.
	EventReason = "InterruptionNotice"
)

// openNotices returns those that have neither happened nor been called off, the most pressing first: by deadline, then in the order
// of their issue.
func openNotices(instance api.Instance) []api.Notice {
	if instance.Notices == nil {
		return nil
	}
	var open []api.Notice
	for _, notice := range *instance.Notices {
		if notice.State == api.NoticeStateScheduled || notice.State == api.NoticeStateStarted {
			open = append(open, notice)
		}
	}
	slices.SortStableFunc(open, func(a, b api.Notice) int { return due(a).Compare(due(b)) })
	return open
}

var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

func due(notice api.Notice) time.Time {
	if notice.Deadline == nil {
		return never
	}
	return *notice.Deadline
}

// taintOf keeps new pods away. A pod that started now would go down with the node, so it had better wait for another one; but
// where nothing is going to happen (a rebalance recommendation, a live migration) a node that is told so is still better than none.
func taintOf(notice api.Notice) corev1.Taint {
	effect := corev1.TaintEffectNoSchedule
	if notice.Action == api.NoticeActionNone {
		effect = corev1.TaintEffectPreferNoSchedule
	}
	return corev1.Taint{Key: TaintKey, Value: string(notice.Kind), Effect: effect}
}

// wantedTaints returns what the Node's taints shall be: all others as they are, and at most one of ours, in its place.
func wantedTaints(present []corev1.Taint, open []api.Notice) []corev1.Taint {
	wanted := []corev1.Taint{} // never nil: a patch with null says something else
	missing := len(open) > 0
	for _, taint := range present {
		if taint.Key == TaintKey {
			if !missing {
				continue
			}
			taint, missing = taintOf(open[0]), false
		}
		wanted = append(wanted, taint)
	}
	if missing {
		wanted = append(wanted, taintOf(open[0]))
	}
	return wanted
}

// message is the Event's: kind, action and deadline.
func message(instance api.Instance, notice api.Notice) string {
	action, deadline := string(notice.Action), "no deadline"
	if notice.Action == api.NoticeActionNone {
		action = "no action"
	}
	if notice.Deadline != nil {
		deadline = "deadline " + notice.Deadline.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("the cloud has given instance %s notice: %s, %s, %s", instance.Id, notice.Kind, action, deadline)
}

func eventType(notice api.Notice) string {
	if notice.Action == api.NoticeActionNone {
		return corev1.EventTypeNormal
	}
	return corev1.EventTypeWarning
}

// told reads AnnotationNotices; ids writes it.
func told(node *corev1.Node) []string { return strings.Split(node.Annotations[AnnotationNotices], ",") }

func ids(open []api.Notice) string {
	var all []string
	for _, notice := range open {
		all = append(all, notice.Id)
	}
	slices.Sort(all) // the same notices read the same, whichever of them presses most
	return strings.Join(all, ",")
}
