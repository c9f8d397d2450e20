package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"mockcloud.dev/ccm-plugin/client/api"
)

// The cloud sends a comment every 15 s: a stream that is silent for three times that is dead, whatever TCP thinks.
const streamSilence = 45 * time.Second

// errSilent ends a stream that no longer says anything.
var errSilent = errors.New("nothing heard for too long")

// maxEvent bounds one line of the stream; a document is a few kilobytes, a pool with thousands of targets a few hundred.
const maxEvent = 16 << 20

// Stream delivers the events after revision since, in order, until the stream ends, and returns why: io.EOF or another error when
// it is cut (call again with the last revision seen), IsGone when those events are no longer kept (list again), what
// handle returned, or ctx's error. opened, which may be nil, is called once the cloud has accepted the stream; it may take its time.
func (c *Client) Stream(ctx context.Context, since int64, opened func(), handle func(api.Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(streamSilence, func() { cancel(errSilent) })
	defer watchdog.Stop()

	response, err := c.api.EventsList(ctx, &api.EventsListParams{Since: &since}, acceptEventStream)
	if err != nil {
		return fmt.Errorf("events stream: %w", causeOr(ctx, err))
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return problemFrom("events.list", response)
	}
	if opened != nil {
		watchdog.Stop()
		opened()
		watchdog.Reset(streamSilence)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	if err := readEvents(lines, func() { watchdog.Reset(streamSilence) }, handle); err != nil {
		return fmt.Errorf("events stream: %w", causeOr(ctx, err))
	}
	return io.EOF
}

// readEvents parses server-sent events; alive is called for every line, comments included.
func readEvents(lines *bufio.Scanner, alive func(), handle func(api.Event) error) error {
	var data []byte
	for lines.Scan() {
		alive()
		line := lines.Bytes()
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if data != nil {
				data = append(data, '\n')
			}
			data = append(data, bytes.TrimPrefix(value, []byte(" "))...)
		}
		if len(line) > 0 || data == nil {
			continue
		}
		var event api.Event
		if err := json.Unmarshal(data, &event); err != nil {
			return fmt.Errorf("not an event: %w", err)
		}
		data = nil
		if err := handle(event); err != nil {
			return err
		}
	}
	return lines.Err()
}

func acceptEventStream(_ context.Context, request *http.Request) error {
	request.Header.Set("Accept", "text/event-stream")
	return nil
}

func causeOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
