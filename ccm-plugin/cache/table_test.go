package cache

import (
	"fmt"
	"testing"
)

type thing struct {
	id, name string
	revision int64
}

func newThings() *table[thing] {
	return newTable(func(t thing) (string, string, int64) { return t.id, t.name, t.revision })
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

func TestTheMemoryOfWhatIsGoneIsBounded(t *testing.T) {
	things := newThings()
	for i := range 2 * maxGone {
		things.remove(fmt.Sprint(i), int64(i))
	}
	if len(things.gone) != maxGone || len(things.goneOrder) != maxGone {
		t.Fatalf("%d remembered, want %d", len(things.gone), maxGone)
	}
}
