package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/interruption"
	"mockcloud.dev/ccm-plugin/testserver"
)

// sim calls what only a test does to an instance.
func (m *machine) sim(call func() (*http.Response, error)) {
	m.Helper()
	response, err := call()
	if err != nil {
		m.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		m.Fatalf("%s %s: %s", response.Request.Method, response.Request.URL, response.Status)
	}
}

func (m *machine) interrupt(kind api.NoticeKind, notice string) {
	m.Helper()
	body := api.InstancesInterruptJSONRequestBody{Kind: &kind}
	if notice != "" {
		body.Notice = &notice
	}
	m.sim(func() (*http.Response, error) {
		return env.cloud.API().InstancesInterrupt(m.Context(), m.instance.Id, nil, body)
	})
}

func (m *machine) cancelInterrupts() {
	m.Helper()
	m.sim(func() (*http.Response, error) {
		return env.cloud.API().InstancesCancelInterrupt(m.Context(), m.instance.Id, nil)
	})
}

func (m *machine) wantInterruption(want ...corev1.Taint) {
	m.Helper()
	m.eventually(fmt.Sprintf("the interruption taints are %v", want), func(node *corev1.Node) bool {
		return slices.Equal(interruptionTaints(node), want)
	})
}

func interruptionTaints(node *corev1.Node) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(node.Spec.Taints), func(taint corev1.Taint) bool { return taint.Key != interruption.TaintKey })
}

// notices are the messages of the Events about notices, as often as each was recorded.
func (m *machine) notices() []string {
	m.Helper()
	list, err := env.kube.CoreV1().Events("").List(m.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(m.node().UID)})
	if err != nil {
		m.Fatal(err)
	}
	var messages []string
	for _, event := range list.Items {
		for range max(1, event.Count) {
			if event.Reason == interruption.EventReason {
				messages = append(messages, event.Type+" "+event.Message)
			}
		}
	}
	return messages
}

func (m *machine) wantNotices(texts ...string) {
	m.Helper()
	testserver.Eventually(m, patience, fmt.Sprintf("events with %q", texts), func() (bool, string) {
		got := m.notices()
		ok := len(got) == len(texts)
		for _, text := range texts {
			ok = ok && slices.ContainsFunc(got, func(message string) bool { return strings.Contains(message, text) })
		}
		return ok, strings.Join(got, "; ")
	})
}

func needsCopy(t *testing.T) {
	t.Helper()
	if cacheMode() != "watch" {
		t.Skip("node-interruption lives on the copy of the cloud, which cache: none does not keep")
	}
}

func taintOf(kind api.NoticeKind, effect corev1.TaintEffect) corev1.Taint {
	return corev1.Taint{Key: interruption.TaintKey, Value: string(kind), Effect: effect}
}

func TestNI1_ANoticeBecomesATaintAndAnEventAndGoesWithItsWithdrawal(t *testing.T) {
	needsCopy(t)
	busy := corev1.Taint{Key: "example.com/busy", Effect: corev1.TaintEffectNoSchedule}
	m := newMachine(t, "ni1", func(node *corev1.Node) { node.Spec.Taints = append(node.Spec.Taints, busy) })
	m.initialised()
	spot := taintOf(api.NoticeKindSpot, corev1.TaintEffectNoSchedule)
	quiet(t)

	m.interrupt(api.NoticeKindSpot, "1h")
	m.wantInterruption(spot)
	m.wantNotices("Warning the cloud has given instance " + m.instance.Id + " notice: spot, terminate, deadline 20")
	m.interrupt(api.NoticeKindRebalance, "")
	m.wantNotices("spot, terminate", "Normal the cloud has given instance "+m.instance.Id+" notice: rebalance, no action, no deadline")
	m.wantInterruption(spot)
	m.cancelInterrupts()
	m.wantInterruption()
	m.interrupt(api.NoticeKindMaintenance, "1h")
	m.wantInterruption(taintOf(api.NoticeKindMaintenance, corev1.TaintEffectNoSchedule))
	m.wantNotices("spot", "rebalance", "maintenance, reboot")
	m.cancelInterrupts()
	m.wantInterruption()
	if !tainted(m.node(), busy.Key) {
		t.Errorf("taints %v: another one has gone", m.node().Spec.Taints)
	}
	if calls := env.proxy.Calls(); len(calls) != 0 {
		t.Errorf("it called the cloud: %+v", calls)
	}
}

func TestNI2_ARestartFindsItsTaintAndToldNoticesAreNotToldAgain(t *testing.T) {
	needsCopy(t)
	kept, withdrawn := newMachine(t, "ni2-kept"), newMachine(t, "ni2-withdrawn")
	for _, m := range []*machine{kept, withdrawn} {
		m.initialised()
		m.interrupt(api.NoticeKindPreempt, "1h")
		m.wantInterruption(taintOf(api.NoticeKindPreempt, corev1.TaintEffectNoSchedule))
		m.wantNotices("preempt, stop")
	}
	env.ccm.kill()
	withdrawn.cancelInterrupts()
	if err := env.ccm.start(); err != nil {
		t.Fatal(err)
	}
	withdrawn.wantInterruption() // so it has looked at all of them
	kept.wantInterruption(taintOf(api.NoticeKindPreempt, corev1.TaintEffectNoSchedule))
	kept.wantNotices("preempt, stop")
}

func TestNI3_AtTheDeadlineTheTaintedNodeGoesWithItsInstance(t *testing.T) {
	needsCopy(t)
	m := newMachine(t, "ni3")
	node := m.initialised()
	m.interrupt(api.NoticeKindSpot, "10s") // long enough to be seen before
	m.wantNotices("spot, terminate")
	m.unplug()
	m.gone()
	wantEvent(t, node.UID, "DeletingNode")
}

func TestNI4_ItCanBeSwitchedOffAndThenCatchesUp(t *testing.T) {
	needsCopy(t)
	m := newMachine(t, "ni4")
	m.initialised()
	arguments := env.ccm.arguments
	env.ccm.arguments = append(slices.Clone(arguments), "--controllers=*,-"+interruption.Name)
	env.ccm.restart(t)
	m.interrupt(api.NoticeKindSpot, "1h")
	observe(t, 4, func() (bool, string) {
		node := m.node()
		return len(interruptionTaints(node)) == 0 && len(m.notices()) == 0, describe(node)
	})
	env.ccm.arguments = arguments
	env.ccm.restart(t)
	m.wantInterruption(taintOf(api.NoticeKindSpot, corev1.TaintEffectNoSchedule))
	m.wantNotices("spot, terminate")
}
