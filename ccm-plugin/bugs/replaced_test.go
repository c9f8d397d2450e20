package bugs

import (
	"fmt"
	"net/http"
	"testing"
)

// A reset ends all that there was, whenever it comes: what was listed before it must not be taken for what is there after it.
func TestACloudThatIsReplacedWhileItIsListedIsListedAgain(t *testing.T) {
	w := newWorld(t, "none")
	old := w.instance("old")
	rule := w.sim(http.MethodPost, "/sim/v1/faults", object{
		"match":  object{"operations": []string{"routes.list"}, "caller": object{"user_agent": "mockcloud-ccm*"}},
		"effect": object{"latency": object{"distribution": "fixed", "value": "1m", "clock": "cloud"}}})
	w.mode = "watch"
	w.restart()
	w.eventually("instances are listed, routes not yet", func() (bool, string) {
		fired := w.sim(http.MethodGet, "/sim/v1/faults/"+rule["id"].(string)+"/stats", nil)["fired"].(float64)
		return fired > 0, fmt.Sprint(fired)
	})
	w.sim(http.MethodPost, "/sim/v1/reset", nil)
	w.advance("10m")
	w.live()
	w.exists(nodeOf(old), false)
}

// Lists that lag behind are completed by the events since.
func TestTheCopyOfACloudWhoseListsLagIsCurrentAllTheSame(t *testing.T) {
	w := newWorld(t, "none")
	stopped, gone, late := w.instance("stopped"), w.instance("gone"), "late"
	_, err := w.cloud.StopInstance(w.Context(), stopped.Id)
	w.must(err)
	w.terminate(gone)
	w.instance(late)
	w.fault([]string{"instances.list"}, object{"stale_read": object{"revisions": 4}}, providersOnly)
	w.mode = "watch"
	w.restart()
	w.live()
	w.exists(nodeOf(gone), false)
	w.eventually("shut down", func() (bool, string) {
		down, err := w.instances().InstanceShutdown(w.Context(), nodeOf(stopped))
		return down && err == nil, fmt.Sprintf("%v, %v", down, err)
	})
	w.eventually("the late one is known", func() (bool, string) {
		_, known := w.provider.Cloud().KnownInstance("", late)
		return known, "it is not"
	})
}
