package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Paused is the error of a call that was not sent: the cloud has asked for a longer pause than we wait.
type Paused struct {
	Collection string
	Remaining  time.Duration
}

func (p *Paused) Error() string {
	return fmt.Sprintf("the cloud asked for a pause of %s, %s are left", p.Collection, p.Remaining.Round(time.Millisecond))
}

// transport is the api.HttpRequestDoer: it honours Retry-After, in bounds. A 429 or 503 with Retry-After is repeated after
// that time, at most attempts times and only if the wait is at most maxWait; everything else is the caller's to retry,
// who has a back-off of its own. After a 429 the other calls to the same collection pause too, so that a thousand
// controllers' worth of retries do not add to the storm.
type transport struct {
	http     *http.Client
	attempts int
	maxWait  time.Duration
	after    func(time.Duration) <-chan time.Time
	now      func() time.Time

	mu     sync.Mutex
	paused map[string]time.Time
}

func (t *transport) Do(request *http.Request) (*http.Response, error) {
	key := collectionOf(request)
	for attempt := 1; ; attempt++ {
		if err := t.waitForPause(request.Context(), key); err != nil {
			return nil, err
		}
		response, err := t.http.Do(request)
		if err != nil {
			return nil, err
		}
		wait := t.notePause(key, response)
		if wait <= 0 || wait > t.maxWait || attempt >= t.attempts || !rewind(request) {
			return response, nil
		}
		response.Body.Close()
		if err := t.sleep(request.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// notePause returns how long the cloud asks to wait before a repeat, zero if it does not.
func (t *transport) notePause(key string, response *http.Response) time.Duration {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	wait := parseRetryAfter(response.Header.Get("Retry-After"), t.now())
	if wait > 0 && response.StatusCode == http.StatusTooManyRequests {
		t.mu.Lock()
		defer t.mu.Unlock()
		if until := t.now().Add(wait); until.After(t.paused[key]) {
			t.paused[key] = until
		}
	}
	return wait
}

func (t *transport) waitForPause(ctx context.Context, key string) error {
	t.mu.Lock()
	wait := t.paused[key].Sub(t.now())
	t.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	if wait > t.maxWait {
		return &Paused{Collection: key, Remaining: wait}
	}
	return t.sleep(ctx, wait)
}

func (t *transport) sleep(ctx context.Context, wait time.Duration) error {
	select {
	case <-t.after(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rewind makes the request fit to be sent again; false if its body cannot be.
func rewind(request *http.Request) bool {
	if request.Body == nil || request.Body == http.NoBody {
		return true
	}
	if request.GetBody == nil {
		return false
	}
	body, err := request.GetBody()
	request.Body = body
	return err == nil
}

// collectionOf is the part of the API that a throttle applies to: "GET /v1/instances" for every instance.
func collectionOf(request *http.Request) string {
	parts := strings.SplitN(strings.TrimPrefix(request.URL.Path, "/"), "/", 3)
	return request.Method + " /" + strings.Join(parts[:min(2, len(parts))], "/")
}
