package interruption

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"mockcloud.dev/ccm-plugin/client/api"
)

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// notice has no deadline if after is 0.
func notice(id string, kind api.NoticeKind, action api.NoticeAction, after time.Duration) api.Notice {
	n := api.Notice{Id: id, Kind: kind, Action: action, IssuedAt: began, State: api.NoticeStateScheduled}
	if after != 0 {
		deadline := began.Add(after)
		n.Deadline = &deadline
	}
	return n
}

func in(state api.NoticeState, n api.Notice) api.Notice {
	n.State = state
	return n
}

var (
	spot      = notice("n-spot", api.NoticeKindSpot, api.NoticeActionTerminate, 2*time.Minute)
	preempt   = notice("n-preempt", api.NoticeKindPreempt, api.NoticeActionStop, 30*time.Second)
	reboot    = notice("n-reboot", api.NoticeKindMaintenance, api.NoticeActionReboot, 15*time.Minute)
	migration = notice("n-migration", api.NoticeKindMaintenance, api.NoticeActionNone, time.Minute)
	rebalance = notice("n-rebalance", api.NoticeKindRebalance, api.NoticeActionNone, 0)
)

func ours(value string, effect corev1.TaintEffect) corev1.Taint {
	return corev1.Taint{Key: "mockcloud.dev/interruption", Value: value, Effect: effect}
}

func TestTheMostPressingOpenNoticeMakesTheTaint(t *testing.T) {
	const no, rather = corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule
	for name, test := range map[string]struct {
		notices []api.Notice
		want    []corev1.Taint
	}{
		"none":                        {nil, nil},
		"spot":                        {[]api.Notice{spot}, []corev1.Taint{ours("spot", no)}},
		"preempt":                     {[]api.Notice{preempt}, []corev1.Taint{ours("preempt", no)}},
		"maintenance":                 {[]api.Notice{reboot}, []corev1.Taint{ours("maintenance", no)}},
		"a live migration":            {[]api.Notice{migration}, []corev1.Taint{ours("maintenance", rather)}},
		"rebalance":                   {[]api.Notice{rebalance}, []corev1.Taint{ours("rebalance", rather)}},
		"any deadline before none":    {[]api.Notice{rebalance, reboot}, []corev1.Taint{ours("maintenance", no)}},
		"the earliest deadline first": {[]api.Notice{reboot, rebalance, spot, preempt}, []corev1.Taint{ours("preempt", no)}},
		"what has started is open":    {[]api.Notice{in(api.NoticeStateStarted, spot)}, []corev1.Taint{ours("spot", no)}},
		"what has happened is not":    {[]api.Notice{in(api.NoticeStateCompleted, reboot)}, nil},
		"what was called off is not":  {[]api.Notice{in(api.NoticeStateCanceled, preempt), rebalance}, []corev1.Taint{ours("rebalance", rather)}},
	} {
		if got := wantedTaints(nil, openNotices(api.Instance{Notices: &test.notices})); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestOtherTaintsStayWhereTheyAre(t *testing.T) {
	first, last := corev1.Taint{Key: "a", Effect: "NoExecute"}, corev1.Taint{Key: "b", Effect: "NoSchedule"}
	present := []corev1.Taint{first, ours("rebalance", "PreferNoSchedule"), last, ours("spot", "NoSchedule")}
	before := slices.Clone(present)
	if got := wantedTaints(present, []api.Notice{reboot}); !slices.Equal(got, []corev1.Taint{first, ours("maintenance", "NoSchedule"), last}) {
		t.Errorf("changed: %v", got)
	}
	if got := wantedTaints(present, nil); !slices.Equal(got, []corev1.Taint{first, last}) {
		t.Errorf("removed: %v", got)
	}
	if !slices.Equal(present, before) {
		t.Errorf("what was handed in has become %v", present)
	}
}

func TestTheMessageNamesKindActionAndDeadline(t *testing.T) {
	for text, n := range map[string]api.Notice{
		"spot, terminate, deadline 2026-01-01T00:02:00Z":        spot,
		"maintenance, no action, deadline 2026-01-01T00:01:00Z": migration,
		"rebalance, no action, no deadline":                     rebalance,
	} {
		if got := message(api.Instance{Id: "i-1"}, n); !strings.Contains(got, "i-1") || !strings.HasSuffix(got, text) {
			t.Errorf("%q, want …%q", got, text)
		}
	}
}
