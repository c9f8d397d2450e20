package cache

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/testserver"
)

type thing struct {
	id, name string
	revision int64
}

func newThings() *table[thing] {
	return newTable(true, func(t thing) (string, string, int64) { return t.id, t.name, t.revision })
}

func (t *table[T]) count() int { return len(t.all()) }

func TestARevisionNeverGoesBack(t *testing.T) {
	things := newThings()
	things.put(thing{"1", "new", 5})
	things.put(thing{"1", "old", 4})
	if got, _ := things.get("1"); got.name != "new" || len(things.named("old")) != 0 || len(things.named("new")) != 1 {
		t.Fatalf("%+v, named old %v", got, things.named("old"))
	}
}

func TestWhatIsGoneStaysGone(t *testing.T) {
	things := newThings()
	things.put(thing{"1", "a", 5})
	things.remove("1", 7)
	things.put(thing{"1", "a", 6}) // an answer that was on its way
	if _, there := things.get("1"); there || len(things.named("a")) != 0 {
		t.Fatal("it is back")
	}
}

func TestARenameMovesTheName(t *testing.T) {
	things := newThings()
	things.put(thing{"1", "a", 1})
	things.put(thing{"1", "b", 2})
	if len(things.named("a")) != 0 || len(things.named("b")) != 1 {
		t.Fatalf("a: %v, b: %v", things.named("a"), things.named("b"))
	}
}

func TestTwoOfOneNameAreBothKnown(t *testing.T) {
	things := newThings()
	things.put(thing{"1", "a", 1})
	things.put(thing{"2", "a", 2})
	things.remove("1", 3)
	if got := things.named("a"); len(got) != 1 || got[0].id != "2" {
		t.Fatalf("%v", got)
	}
}

func TestAListDropsWhatItLacksUnlessThatIsNewer(t *testing.T) {
	things := newThings()
	for i := range 3 {
		things.put(thing{fmt.Sprint(i), "n", int64(i + 1)})
	}
	things.put(thing{"written", "n", 11}) // the answer to a write of ours, after the list was made
	things.replace([]thing{{"1", "n", 2}, {"listed", "n", 9}}, 10)
	for id, want := range map[string]bool{"0": false, "1": true, "2": false, "listed": true, "written": true} {
		if _, there := things.get(id); there != want {
			t.Errorf("%s is there: %v, want %v", id, there, want)
		}
	}
	if things.count() != 3 {
		t.Errorf("%d things", things.count())
	}
}

func TestAnAnswerFromBeforeTheListBringsNothingBack(t *testing.T) {
	things := newThings()
	things.replace([]thing{{"there", "n", 7}}, 10)
	things.put(thing{"deleted", "n", 9}) // asked for before the list, and told after it
	things.put(thing{"there", "n", 9})
	things.put(thing{"new", "n", 11})
	for id, want := range map[string]int64{"deleted": 0, "there": 9, "new": 11} {
		if got, _ := things.get(id); got.revision != want {
			t.Errorf("%s has revision %d, want %d", id, got.revision, want)
		}
	}
	things.clear() // another cloud begins anew
	things.put(thing{"first", "n", 1})
	if _, there := things.get("first"); !there {
		t.Error("what was listed before holds for another cloud")
	}
}

func TestTheMemoryOfWhatIsGoneIsBounded(t *testing.T) {
	things := newThings()
	for i := range 2 * maxGone {
		things.remove(fmt.Sprint(i), int64(i))
	}
	if len(things.gone) != maxGone || len(things.goneOrder) != maxGone {
		t.Fatalf("%d remembered, want %d", len(things.gone), maxGone)
	}
}

// Instances come and go for as long as a controller runs: what nobody reads must not pile up.
func TestWhatNobodyReadsIsNotKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch id, one := strings.CutPrefix(r.URL.Path, "/v1/instances/"); {
		case one:
			fmt.Fprintf(w, `{"id":%q,"name":%q,"revision":1}`, id, id)
		case r.Header.Get("Accept") == "text/event-stream": // this cloud has no events
			w.WriteHeader(http.StatusNotImplemented)
		default:
			fmt.Fprint(w, `{"items":[],"revision":1}`)
		}
	}))
	defer server.Close()
	for _, watch := range []bool{false, true} {
		direct, err := client.New(client.Config{Endpoint: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		c := New(direct, watch)
		for i := range 100 {
			if _, err := c.FreshInstance(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		c.KeepRoute(api.Route{Id: "r", Revision: 1})
		c.ForgetTargetPool("p")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); c.Run(ctx) }()
		testserver.Eventually(t, 10*time.Second, "nothing is kept", func() (bool, string) {
			kept := c.instances.count() + c.routes.count() + c.pools.count()
			return kept == 0, fmt.Sprintf("watch %v: %d things", watch, kept)
		})
		cancel()
		<-ended
	}
}
