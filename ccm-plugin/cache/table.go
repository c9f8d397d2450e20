package cache

import "sync"

// maxGone bounds the memory of deleted resources; it only has to outlive answers that are still under way.
const maxGone = 10000

// table holds the newest known document of each resource of one kind. Documents come from lists, events and answers to our
// own writes, in any order: a revision never goes back, and what is gone stays gone.
type table[T any] struct {
	facts func(T) (id, name string, revision int64)
	keeps bool // one that nobody reads stays empty

	mu        sync.RWMutex
	byID      map[string]T
	byName    map[string]map[string]struct{}
	gone      map[string]int64
	goneOrder []string
	complete  int64 // all that there was at this revision has been listed
}

func newTable[T any](keeps bool, facts func(T) (id, name string, revision int64)) *table[T] {
	t := &table[T]{facts: facts, keeps: keeps}
	t.clear()
	return t
}

func (t *table[T]) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID, t.byName = map[string]T{}, map[string]map[string]struct{}{}
	t.gone, t.goneOrder, t.complete = map[string]int64{}, nil, 0
}

// put keeps the document unless a newer one, or the deletion, is known already; an answer from before the list may come after
// it, with what had been deleted in between.
func (t *table[T]) put(document T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id, _, revision := t.facts(document)
	if _, known := t.byID[id]; known || revision > t.complete {
		t.putLocked(document)
	}
}

func (t *table[T]) putLocked(document T) {
	id, name, revision := t.facts(document)
	if _, gone := t.gone[id]; gone || !t.keeps {
		return
	}
	if old, known := t.byID[id]; known {
		_, oldName, oldRevision := t.facts(old)
		if oldRevision > revision {
			return
		}
		t.unname(oldName, id)
	}
	t.byID[id] = document
	if t.byName[name] == nil {
		t.byName[name] = map[string]struct{}{}
	}
	t.byName[name][id] = struct{}{}
}

// remove forgets a resource for good: ids are never used again.
func (t *table[T]) remove(id string, revision int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(id, revision)
}

func (t *table[T]) removeLocked(id string, revision int64) {
	if old, known := t.byID[id]; known {
		_, name, _ := t.facts(old)
		t.unname(name, id)
		delete(t.byID, id)
	}
	if _, known := t.gone[id]; known || !t.keeps {
		return
	}
	t.gone[id] = revision
	if t.goneOrder = append(t.goneOrder, id); len(t.goneOrder) > maxGone {
		delete(t.gone, t.goneOrder[0])
		t.goneOrder = t.goneOrder[1:]
	}
}

// replace takes over a whole list that shows the given revision: what it lacks and what is not newer is gone.
func (t *table[T]) replace(documents []T, revision int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	listed := make(map[string]struct{}, len(documents))
	for _, document := range documents {
		id, _, _ := t.facts(document)
		listed[id] = struct{}{}
		t.putLocked(document)
	}
	for id, document := range t.byID {
		_, _, known := t.facts(document)
		if _, there := listed[id]; !there && known <= revision {
			t.removeLocked(id, revision)
		}
	}
	t.complete = revision
}

func (t *table[T]) get(id string) (T, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	document, known := t.byID[id]
	return document, known
}

func (t *table[T]) named(name string) []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var documents []T
	for id := range t.byName[name] {
		documents = append(documents, t.byID[id])
	}
	return documents
}

func (t *table[T]) all() []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	documents := make([]T, 0, len(t.byID))
	for _, document := range t.byID {
		documents = append(documents, document)
	}
	return documents
}

func (t *table[T]) unname(name, id string) {
	delete(t.byName[name], id)
	if len(t.byName[name]) == 0 {
		delete(t.byName, name)
	}
}
