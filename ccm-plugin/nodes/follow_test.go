package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
)

// script is a cloud that answers what the test says: one entry per list, then the stream that follows it.
type script struct {
	mutex  sync.Mutex
	steps  []step
	filter client.Filter
	since  []int64
	done   func()
}

type step struct {
	list     []api.Instance
	revision int64
	err      error
	events   []api.Event
	cut      error
}

func (s *script) Instances(_ context.Context, filter client.Filter) ([]api.Instance, int64, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.filter = filter
	if len(s.steps) == 0 {
		s.done()
		return nil, 0, context.Canceled
	}
	if err := s.steps[0].err; err != nil {
		s.steps = s.steps[1:]
		return nil, 0, err
	}
	return s.steps[0].list, s.steps[0].revision, nil
}

func (s *script) Stream(_ context.Context, since int64, opened func(), handle func(api.Event) error) error {
	s.mutex.Lock()
	now := s.steps[0]
	s.steps = s.steps[1:]
	s.since = append(s.since, since)
	s.mutex.Unlock()
	opened()
	for _, event := range now.events {
		if err := handle(event); err != nil {
			return err
		}
	}
	return now.cut
}

// record writes down what is switched.
type record struct{ calls []string }

func (r *record) On(_ context.Context, instance api.Instance) {
	r.calls = append(r.calls, "on "+instance.Id)
}
func (r *record) Off(id string)    { r.calls = append(r.calls, "off "+id) }
func (r *record) Forget(id string) { r.calls = append(r.calls, "forget "+id) }
func (r *record) Keep(ids map[string]bool) {
	var kept []string
	for id := range ids {
		kept = append(kept, id)
	}
	slices.Sort(kept)
	r.calls = append(r.calls, "keep "+strings.Join(kept, " "))
}

func in(state api.InstanceState, revision int64) api.Instance {
	i := instance("i-1", "a")
	i.State, i.Revision = state, revision
	return i
}

func updated(i api.Instance) api.Event {
	document, _ := json.Marshal(i)
	return api.Event{Kind: api.ResourceKindInstance, Type: api.EventTypeUpdated, Id: i.Id, Revision: i.Revision, Document: document}
}

// play runs a follower over the steps and returns what it switched.
func play(t *testing.T, cluster string, steps ...step) ([]string, *script) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cloud, calls := &script{steps: steps, done: cancel}, &record{}
	follower := NewFollower(cloud, calls, cluster, slog.New(slog.DiscardHandler))
	follower.backoff = time.Millisecond
	follower.Run(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatal("it did not play to the end")
	}
	return calls.calls, cloud
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("switched:\n  %s\nwant:\n  %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

func TestOnlyARunningInstanceIsOn(t *testing.T) {
	for state, want := range map[api.InstanceState]string{
		api.InstanceStatePending: "off i-1", api.InstanceStateRunning: "on i-1", api.InstanceStateStopping: "off i-1",
		api.InstanceStateStopped: "off i-1", api.InstanceStateRebooting: "off i-1", api.InstanceStateTerminating: "off i-1",
		api.InstanceStateTerminated: "forget i-1", api.InstanceStateError: "off i-1",
	} {
		got, _ := play(t, "", step{list: []api.Instance{in(state, 1)}, cut: io.EOF})
		expect(t, got, want, "keep i-1")
		got, _ = play(t, "", step{events: []api.Event{updated(in(state, 2))}, cut: io.EOF})
		expect(t, got, "keep ", want)
	}
}

func TestOtherInstancesAreNotTouched(t *testing.T) {
	record, foreign, ours := in("running", 1), in("running", 1), in("running", 1)
	record.Backend = api.InstanceBackendNone
	foreign.Tags = api.Tags{ClusterTag: "other"}
	ours.Tags = api.Tags{ClusterTag: "mine"}
	got, cloud := play(t, "mine", step{cut: io.EOF, events: []api.Event{
		updated(record), updated(foreign), updated(ours), {Kind: api.ResourceKindRoute, Type: api.EventTypeDeleted, Id: "i-1"},
	}})
	expect(t, got, "keep ", "forget i-1", "forget i-1", "on i-1")
	if cloud.filter.Tags[ClusterTag] != "mine" {
		t.Errorf("the list is not filtered: %v", cloud.filter)
	}
}

func TestAnOlderDocumentChangesNothing(t *testing.T) {
	got, cloud := play(t, "", step{list: []api.Instance{in("stopped", 7)}, revision: 5, cut: io.EOF, events: []api.Event{
		updated(in("running", 6)), updated(in("stopped", 7)), updated(in("running", 8)),
	}})
	expect(t, got, "off i-1", "keep i-1", "off i-1", "on i-1")
	if !slices.Equal(cloud.since, []int64{5}) {
		t.Errorf("streams since %v", cloud.since)
	}
}

func TestARebootThatTakesNoTimeIsOffAndOn(t *testing.T) {
	operation := "instances.reboot"
	reboot := updated(in("running", 3))
	reboot.Cause.Operation = &operation
	got, _ := play(t, "", step{list: []api.Instance{in("running", 1)}, cut: io.EOF, events: []api.Event{reboot, reboot}})
	expect(t, got, "on i-1", "keep i-1", "off i-1", "on i-1", "on i-1")
}

func TestADeletedInstanceIsForgotten(t *testing.T) {
	gone := updated(in("terminated", 3))
	gone.Type = api.EventTypeDeleted
	got, _ := play(t, "", step{list: []api.Instance{in("running", 1)}, cut: io.EOF, events: []api.Event{gone}})
	expect(t, got, "on i-1", "keep i-1", "forget i-1")
}

func TestAfterACutOrALostEventLogEverythingIsListedAgain(t *testing.T) {
	got, cloud := play(t, "",
		step{list: []api.Instance{in("running", 9)}, revision: 9, cut: &client.Problem{Status: 410}},
		step{err: errors.New("no connection")},
		step{list: nil, revision: 2, cut: io.EOF}) // the cloud was reset: revisions start again
	expect(t, got, "on i-1", "keep i-1", "keep ")
	if !slices.Equal(cloud.since, []int64{9, 2}) {
		t.Errorf("streams since %v", cloud.since)
	}
}

func TestAMalformedEventMakesANewList(t *testing.T) {
	bad := updated(in("running", 1))
	bad.Document = json.RawMessage(`{"id": 7}`)
	begin := time.Now()
	got, _ := play(t, "", step{events: []api.Event{bad}}, step{cut: io.EOF})
	expect(t, got, "keep ", "keep ")
	if time.Since(begin) > patience/2 {
		t.Error("too slow")
	}
}
