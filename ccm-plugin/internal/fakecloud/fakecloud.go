// Package fakecloud is a small local HTTP server that behaves like mockcloud as far as the plugin's unit tests need. The same test
// cases run against the real server in package contract, which keeps this one honest.
package fakecloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

type document = map[string]any

// kind is one collection: its path, the event's kind and the prefix of its ids.
type kind struct{ path, name, prefix string }

var kinds = []kind{
	{"instances", "instance", "i-"},
	{"load-balancers", "load_balancer", "lb-"},
	{"target-pools", "target_pool", "tp-"},
	{"addresses", "address", "ip-"},
	{"routes", "route", "rt-"},
}

// Cloud is an http.Handler.
type Cloud struct {
	mu        sync.Mutex
	revision  int64
	lastID    int
	now       time.Time
	resources map[string]map[string]document // path, id
	order     []string
	latencies map[string]time.Duration
	due       []deadline
	events    []document
	changed   chan struct{}
	oldest    int64
	lastIP    int
}

type deadline struct {
	at     time.Time
	action func()
}

// problem is an error answer.
type problem struct {
	status              int
	code, detail, field string
}

func New() *Cloud {
	c := &Cloud{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), resources: map[string]map[string]document{},
		latencies: map[string]time.Duration{}, changed: make(chan struct{})}
	for _, k := range kinds {
		c.resources[k.path] = map[string]document{}
	}
	return c
}

// Fail puts the load balancer into state error.
func (c *Cloud) Fail(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := maps.Clone(c.resources["load-balancers"][id])
	failed["state"], failed["state_reason"] = "error", document{"code": "provisioning-failed", "message": "by the test"}
	c.commit(kinds[1], failed, "updated")
}

// DropEvents forgets the events so far: whoever resumes before them gets a 410.
func (c *Cloud) DropEvents() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events, c.oldest = nil, c.revision
}

func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer fake" {
		writeProblem(w, &problem{401, "unauthorized", "no such token", ""})
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/v1/events":
		c.serveEvents(w, r)
	case parts[0] == "sim" && len(parts) > 2:
		c.serveSim(w, r, parts[2:])
	case len(parts) >= 2:
		c.serveResource(w, r, parts[1:])
	default:
		writeProblem(w, &problem{404, "no_such_path", "no such path", ""})
	}
}

func (c *Cloud) serveResource(w http.ResponseWriter, r *http.Request, parts []string) {
	index := slices.IndexFunc(kinds, func(k kind) bool { return k.path == parts[0] })
	if index < 0 {
		writeProblem(w, &problem{404, "no_such_path", "no such path", ""})
		return
	}
	var body document
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, status, failed := c.act(kinds[index], r, parts[1:], body)
	if failed != nil {
		writeProblem(w, failed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if answer != nil {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (c *Cloud) act(k kind, r *http.Request, rest []string, body document) (any, int, *problem) {
	if len(rest) == 0 {
		if r.Method == http.MethodGet {
			return c.list(k, r), 200, nil
		}
		if count, many := body["count"].(float64); many {
			return c.createMany(k, body, int(count))
		}
		created, failed := c.create(k, body)
		return created, 201, failed
	}
	resource, there := c.resources[k.path][rest[0]]
	if !there {
		return nil, 0, &problem{404, "not_found", "no " + k.name + " " + rest[0], ""}
	}
	switch {
	case len(rest) == 2:
		return c.action(resource, rest[1])
	case r.Method == http.MethodGet:
		return resource, 200, nil
	case r.Method == http.MethodPatch:
		updated, failed := c.update(k, resource, body)
		return updated, 200, failed
	}
	return c.remove(k, resource)
}

func (c *Cloud) list(k kind, r *http.Request) any {
	items := []document{}
	query := r.URL.Query()
	for _, id := range c.order {
		resource, there := c.resources[k.path][id]
		if !there {
			continue
		}
		matches := true
		for key, values := range query {
			switch tag, isTag := strings.CutPrefix(key, "tag."); {
			case isTag:
				tags, _ := resource["tags"].(document)
				matches = matches && tags[tag] == values[0]
			case key == "name" || key == "network" || key == "zone":
				matches = matches && resource[key] == values[0]
			case key == "state":
				matches = matches && slices.Contains(strings.Split(values[0], ","), fmt.Sprint(resource[key]))
			}
		}
		if matches {
			items = append(items, resource)
		}
	}
	return c.page(items, query.Get("page_token"))
}

// page answers three items at a time, so that every test with more than that follows pages.
func (c *Cloud) page(items []document, token string) document {
	start, _ := strconv.Atoi(token)
	start = min(start, len(items))
	end := min(start+3, len(items))
	list := document{"items": items[start:end], "revision": c.revision}
	if end < len(items) {
		list["next_page_token"] = strconv.Itoa(end)
	}
	return list
}

func (c *Cloud) create(k kind, body document) (document, *problem) {
	c.lastID++
	id := fmt.Sprintf("%s%017x", k.prefix, c.lastID)
	stamp := c.now.Format(time.RFC3339)
	resource := document{"id": id, "name": id, "project": "default", "tags": document{}, "created_at": stamp, "updated_at": stamp}
	maps.Copy(resource, body)
	if failed := c.checkName(k, resource); failed != nil {
		return nil, failed
	}
	var failed *problem
	switch k.name {
	case "instance":
		failed = c.createInstance(resource)
	case "load_balancer":
		failed = c.createBalancer(resource)
	case "target_pool":
		failed = c.setTargets(resource, resource["targets"])
	case "address":
		setDefaults(resource, document{"family": "ipv4", "scheme": "internet-facing"})
		setDefaults(resource, document{"address": c.nextIP(resource["family"])})
	case "route":
		failed = c.createRoute(resource)
	}
	if failed != nil {
		return nil, failed
	}
	c.order = append(c.order, id)
	c.commit(k, resource, "created")
	return resource, nil
}

// hasLeft says whether a resource has given up its name and destination.
func hasLeft(resource document) bool {
	return resource["state"] == "terminated" || resource["state"] == "deleting"
}

// createMany names them as the real one does and answers one page.
func (c *Cloud) createMany(k kind, body document, count int) (any, int, *problem) {
	items := []document{}
	for i := range count {
		single := maps.Clone(body)
		delete(single, "count")
		single["name"] = fmt.Sprintf("%s-%d", body["name"], i+1)
		created, failed := c.create(k, single)
		if failed != nil {
			return nil, 0, failed
		}
		items = append(items, created)
	}
	return document{"items": items, "revision": c.revision}, 201, nil
}

func (c *Cloud) checkName(k kind, resource document) *problem {
	for _, other := range c.resources[k.path] {
		if other["name"] == resource["name"] && other["id"] != resource["id"] && !hasLeft(other) {
			return &problem{409, "already_exists", "the name is taken", "name"}
		}
	}
	return nil
}

func (c *Cloud) createInstance(resource document) *problem {
	setDefaults(resource, document{"zone": "zone-a", "region": "region-1", "type": "small", "lifecycle": "on-demand", "backend": "none",
		"state": "running"})
	if resource["addresses"] == nil {
		c.lastIP++
		resource["addresses"] = []any{
			document{"type": "internal", "family": "ipv4", "address": fmt.Sprintf("10.0.0.%d", c.lastIP)},
			document{"type": "external", "family": "ipv4", "address": fmt.Sprintf("198.51.100.%d", c.lastIP)},
		}
	}
	c.begin(kinds[0], resource, "state", "pending", "running", "instance.pending")
	return nil
}

func (c *Cloud) createBalancer(resource document) *problem {
	setDefaults(resource, document{"scheme": "internet-facing", "listeners": []any{}, "source_ranges": []any{}})
	if failed := c.checkListeners(resource["listeners"]); failed != nil {
		return failed
	}
	addresses := []any{}
	ids, _ := resource["address_ids"].([]any)
	for _, id := range ids {
		address := c.resources["addresses"][fmt.Sprint(id)]
		if address == nil || address["load_balancer_id"] != nil {
			return &problem{409, "in_use", "the address is missing or in use", "address_ids[0]"}
		}
		address["load_balancer_id"] = resource["id"]
		addresses = append(addresses, document{"address": address["address"], "family": address["family"], "address_id": id})
	}
	if len(ids) == 0 {
		families, given := resource["ip_families"].([]any)
		if !given {
			families = []any{"ipv4"}
		}
		for _, family := range families {
			addresses = append(addresses, document{"address": c.nextIP(family), "family": family})
		}
	}
	resource["addresses"] = addresses
	delete(resource, "address_ids")
	delete(resource, "ip_families")
	c.begin(kinds[1], resource, "state", "provisioning", "active", "load_balancer.provisioning")
	return nil
}

func (c *Cloud) checkListeners(listeners any) *problem {
	list, _ := listeners.([]any)
	for i, listener := range list {
		if c.resources["target-pools"][fmt.Sprint(listener.(document)["target_pool_id"])] == nil {
			return &problem{400, "invalid_argument", "no such pool", fmt.Sprintf("listeners[%d].target_pool_id", i)}
		}
	}
	return nil
}

func (c *Cloud) setTargets(pool document, references any) *problem {
	targets := []any{}
	list, _ := references.([]any)
	for i, reference := range list {
		id := fmt.Sprint(reference.(document)["instance_id"])
		if c.resources["instances"][id] == nil {
			return &problem{400, "invalid_argument", "no such instance", fmt.Sprintf("targets[%d].instance_id", i)}
		}
		targets = append(targets, document{"instance_id": id, "health": "healthy"})
	}
	pool["targets"] = targets
	setDefaults(pool, document{"health_check": document{"protocol": "none"}})
	return nil
}

func (c *Cloud) createRoute(resource document) *problem {
	setDefaults(resource, document{"network": "default"})
	for _, other := range c.resources["routes"] {
		if !hasLeft(other) && other["network"] == resource["network"] && other["destination_cidr"] == resource["destination_cidr"] {
			return &problem{409, "already_exists", "the destination is taken", "destination_cidr"}
		}
	}
	hop, _ := resource["next_hop"].(document)
	if id, given := hop["instance_id"]; given && c.resources["instances"][fmt.Sprint(id)] == nil {
		return &problem{400, "invalid_argument", "no such instance", "next_hop.instance_id"}
	}
	c.begin(kinds[4], resource, "state", "pending", "active", "route.pending")
	return nil
}

func (c *Cloud) update(k kind, resource, body document) (document, *problem) {
	state := resource["state"]
	if k.name == "load_balancer" && (state == "provisioning" || state == "deleting") {
		return nil, &problem{409, "illegal_transition", "it is " + fmt.Sprint(state), ""}
	}
	if failed := c.checkListeners(body["listeners"]); failed != nil {
		return nil, failed
	}
	changed := maps.Clone(resource)
	for key, value := range body {
		switch key {
		case "tags":
			changed[key] = mergeTags(resource[key].(document), value.(document))
		case "targets":
			if failed := c.setTargets(changed, value); failed != nil {
				return nil, failed
			}
		default:
			changed[key] = value
		}
	}
	if k.name == "load_balancer" {
		c.begin(k, changed, "state", "updating", "active", "load_balancer.updating")
	}
	c.commit(k, changed, "updated")
	return changed, nil
}

func mergeTags(tags, patch document) document {
	merged := maps.Clone(tags)
	for key, value := range patch {
		if value == nil {
			delete(merged, key)
		} else {
			merged[key] = value
		}
	}
	return merged
}

func (c *Cloud) remove(k kind, resource document) (any, int, *problem) {
	id := fmt.Sprint(resource["id"])
	if user := c.userOf(id); user != "" {
		return nil, 0, &problem{409, "in_use", "used by " + user, ""}
	}
	switch k.name {
	case "instance":
		return c.action(resource, "terminate")
	case "target_pool", "address":
		c.commit(k, resource, "deleted")
		return nil, 204, nil
	}
	if resource["state"] == "deleting" {
		return resource, 202, nil
	}
	changed := maps.Clone(resource)
	if wait := c.latencies[k.name+".deleting"]; wait > 0 {
		changed["state"] = "deleting"
		c.commit(k, changed, "updated")
		c.after(wait, func() { c.finishRemoval(k, id) })
		return changed, 202, nil
	}
	c.finishRemoval(k, id)
	changed["state"] = "deleted"
	return changed, 202, nil
}

func (c *Cloud) finishRemoval(k kind, id string) {
	for _, address := range c.resources["addresses"] {
		if address["load_balancer_id"] == id {
			delete(address, "load_balancer_id")
		}
	}
	c.commit(k, c.resources[k.path][id], "deleted")
}

func (c *Cloud) userOf(id string) string {
	for _, balancer := range c.resources["load-balancers"] {
		for _, listener := range balancer["listeners"].([]any) {
			if listener.(document)["target_pool_id"] == id {
				return fmt.Sprint(balancer["id"])
			}
		}
	}
	if address := c.resources["addresses"][id]; address != nil && address["load_balancer_id"] != nil {
		return fmt.Sprint(address["load_balancer_id"])
	}
	return ""
}

func (c *Cloud) action(resource document, verb string) (any, int, *problem) {
	changed := maps.Clone(resource)
	switch verb {
	case "stop":
		c.begin(kinds[0], changed, "state", "stopping", "stopped", "instance.stopping")
	case "start":
		c.begin(kinds[0], changed, "state", "pending", "running", "instance.pending")
	case "reboot":
		c.begin(kinds[0], changed, "state", "rebooting", "running", "instance.rebooting")
	case "terminate":
		c.begin(kinds[0], changed, "state", "terminating", "terminated", "instance.terminating")
		c.after(c.latencies["instance.terminating"]+60*time.Second, func() {
			c.commit(kinds[0], c.resources["instances"][fmt.Sprint(changed["id"])], "deleted")
		})
	default:
		return nil, 0, &problem{404, "no_such_path", "no such path", ""}
	}
	c.commit(kinds[0], changed, "updated")
	return changed, 202, nil
}

// begin enters the timed state, or without latency the one after it.
func (c *Cloud) begin(k kind, resource document, field, during, after, transition string) {
	wait := c.latencies[transition]
	if wait <= 0 {
		resource[field] = after
		return
	}
	resource[field] = during
	id := fmt.Sprint(resource["id"])
	c.after(wait, func() {
		if current := c.resources[k.path][id]; current != nil && current[field] == during {
			changed := maps.Clone(current)
			changed[field] = after
			c.commit(k, changed, "updated")
		}
	})
}

func (c *Cloud) after(wait time.Duration, action func()) {
	c.due = append(c.due, deadline{c.now.Add(wait), action})
}

func (c *Cloud) commit(k kind, resource document, change string) {
	if resource == nil {
		return
	}
	c.revision++
	resource["revision"] = c.revision
	id := fmt.Sprint(resource["id"])
	if change == "deleted" {
		delete(c.resources[k.path], id)
	} else {
		c.resources[k.path][id] = resource
	}
	c.events = append(c.events, document{"revision": c.revision, "time": c.now.Format(time.RFC3339), "kind": k.name, "id": id,
		"type": change, "cause": document{"type": "api"}, "document": maps.Clone(resource)})
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cloud) nextIP(family any) string {
	c.lastIP++
	if family == "ipv6" {
		return fmt.Sprintf("2001:db8::%d", c.lastIP)
	}
	return fmt.Sprintf("203.0.113.%d", c.lastIP)
}

func (c *Cloud) serveSim(w http.ResponseWriter, r *http.Request, parts []string) {
	var body struct {
		By    string `json:"by"`
		Value string `json:"value"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if parts[0] == "latencies" && len(parts) == 2 {
		c.latencies[parts[1]], _ = time.ParseDuration(body.Value)
		fmt.Fprint(w, "{}")
		return
	}
	by, _ := time.ParseDuration(body.By)
	c.now = c.now.Add(by)
	fired := 0
	for i := 0; i < len(c.due); i++ {
		if due := c.due[i]; !due.at.After(c.now) {
			c.due = slices.Delete(c.due, i, i+1)
			i--
			due.action()
			fired++
		}
	}
	fmt.Fprintf(w, `{"clock":{"now":%q,"mode":"manual","scale":0,"frozen":false},"fired":%d}`, c.now.Format(time.RFC3339), fired)
}

func (c *Cloud) serveEvents(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		since, _ = strconv.ParseInt(last, 10, 64)
	}
	c.mu.Lock()
	gone := since < c.oldest
	c.mu.Unlock()
	if gone {
		writeProblem(w, &problem{410, "gone", "these events are no longer kept", "since"})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": here they come\n\n")
	for {
		c.mu.Lock()
		var fresh []document
		for _, event := range c.events {
			if event["revision"].(int64) > since {
				fresh = append(fresh, event)
			}
		}
		changed := c.changed
		c.mu.Unlock()
		for _, event := range fresh {
			data, _ := json.Marshal(event)
			since = event["revision"].(int64)
			fmt.Fprintf(w, "id: %d\nevent: %s.%s\ndata: %s\n\n", since, event["kind"], event["type"], data)
		}
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func setDefaults(resource, defaults document) {
	for key, value := range defaults {
		if resource[key] == nil {
			resource[key] = value
		}
	}
}

func writeProblem(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(document{"type": "about:blank", "title": http.StatusText(p.status), "status": p.status,
		"code": p.code, "detail": p.detail, "field": p.field, "request_id": "r-1"})
}
