package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// Problem is an answer of the cloud that is not a success: RFC 9457 problem details, or what could be made of an
// answer that carries none (a proxy's, for example). Everything else that fails (no connection, a cut answer) is not a Problem.
type Problem struct {
	Operation string        // what was called, for example "instances.get"
	Resource  string        // the id that the call was about; empty for lists and creations
	Status    int           // HTTP status
	Code      string        // stable, for programs; empty if the answer was no problem document
	Detail    string        // for people
	Field     string        // the offending field, if any
	RequestID string        // for looking it up in the cloud's log
	Wait      time.Duration // from Retry-After; zero if there was none
}

func (p *Problem) Error() string {
	text := fmt.Sprintf("%s: %d %s", p.Operation, p.Status, http.StatusText(p.Status))
	if p.Code != "" {
		text += " (" + p.Code + ")"
	}
	if p.Field != "" {
		text += " in " + p.Field
	}
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.RequestID != "" {
		text += " [request " + p.RequestID + "]"
	}
	return text
}

// codeNotFound is the only code that says something about a resource: a path that the cloud does not have is no_such_path.
const codeNotFound = "not_found"

// IsNotFound says that the cloud itself answered that the resource which the call named by its id does not exist. Nodes are
// deleted and finalizers removed on this answer, so no other 404 counts: none of a list or a creation, which name no resource (a
// fault, a wrong proxy), none without a problem document (something in between answered), none with another code (a wrong base
// path: no_such_path).
func IsNotFound(err error) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Status == http.StatusNotFound && problem.Code == codeNotFound &&
		problem.Resource != ""
}

// IsConflict says that the change collides with the present state (409).
func IsConflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// IsGone says that the events asked for are no longer kept (410): list again.
func IsGone(err error) bool { return hasStatus(err, http.StatusGone) }

// IsThrottled says that the cloud asks for fewer calls (429), or has done so just before.
func IsThrottled(err error) bool {
	var paused *Paused
	return hasStatus(err, http.StatusTooManyRequests) || errors.As(err, &paused)
}

// IsInvalid says that the cloud understood the request and refuses its content (400, 422).
func IsInvalid(err error) bool {
	return hasStatus(err, http.StatusBadRequest) || hasStatus(err, http.StatusUnprocessableEntity)
}

// RetryAfter is how long the cloud asked to wait, zero if it did not.
func RetryAfter(err error) time.Duration {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem.Wait
	}
	var paused *Paused
	if errors.As(err, &paused) {
		return paused.Remaining
	}
	return 0
}

func hasStatus(err error, status int) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Status == status
}

// problemFrom reads the answer's body, at most 64 KiB of it.
func problemFrom(operation string, response *http.Response) *Problem {
	problem := &Problem{
		Operation: operation,
		Status:    response.StatusCode,
		RequestID: response.Header.Get("X-Request-Id"),
		Wait:      parseRetryAfter(response.Header.Get("Retry-After"), time.Now()),
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	media, _, mediaErr := mime.ParseMediaType(response.Header.Get("Content-Type"))
	var document struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Field  string `json:"field"`
	}
	if err != nil || mediaErr != nil || media != "application/problem+json" || json.Unmarshal(body, &document) != nil {
		problem.Detail = fmt.Sprintf("the answer is no problem document (%q)", response.Header.Get("Content-Type"))
		return problem
	}
	problem.Code, problem.Detail, problem.Field = document.Code, document.Detail, document.Field
	return problem
}

// parseRetryAfter understands both forms of RFC 9110 10.2.3; anything else counts as none.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 && seconds < 86400 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}
