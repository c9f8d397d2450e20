// Package client speaks to a mock cloud: the generated API client plus what every caller needs: typed errors, a token that
// may be rotated, time-outs, Retry-After, whole lists instead of pages, and the event stream.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"mockcloud.dev/ccm-plugin/client/api"
)

// Config says which cloud, as whom, and how patiently. Only Endpoint is required.
type Config struct {
	Endpoint  string // base URL, for example http://127.0.0.1:9080
	Token     string // bearer token
	TokenFile string // or a file that holds it, read at every call, so that it can be rotated
	Project   string // act on this project (tokens of scope sim only)
	UserAgent string

	Timeout time.Duration // of one call, all repeats included; default 15 s
	// A 429 or 503 is repeated at most Attempts times in all (default 3) if Retry-After is at most MaxWait (default 5 s).
	Attempts int
	MaxWait  time.Duration

	HTTP *http.Client // default: one of our own, without a time-out because of the event stream
}

// Client is safe for concurrent use.
type Client struct {
	config Config
	api    *api.Client
}

// New checks the configuration; it makes no call.
func New(config Config) (*Client, error) {
	endpoint, err := url.Parse(config.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if (endpoint.Scheme != "http" && endpoint.Scheme != "https") || endpoint.Host == "" {
		return nil, fmt.Errorf("endpoint: %q is not an http:// or https:// address", config.Endpoint)
	}
	if config.Token != "" && config.TokenFile != "" {
		return nil, errors.New("token and tokenFile: only one of the two may be given")
	}
	config.setDefaults()
	c := &Client{config: config}
	doer := &transport{
		http: config.HTTP, attempts: config.Attempts, maxWait: config.MaxWait,
		after: time.After, now: time.Now, paused: map[string]time.Time{},
	}
	c.api, err = api.NewClient(config.Endpoint, api.WithHTTPClient(doer), api.WithRequestEditorFn(c.prepare))
	return c, err
}

func (config *Config) setDefaults() {
	if config.Timeout == 0 {
		config.Timeout = 15 * time.Second
	}
	if config.Attempts == 0 {
		config.Attempts = 3
	}
	if config.MaxWait == 0 {
		config.MaxWait = 5 * time.Second
	}
	if config.UserAgent == "" {
		config.UserAgent = "mockcloud-client"
	}
	if config.HTTP == nil {
		pool := http.DefaultTransport.(*http.Transport).Clone()
		pool.Proxy = nil // a cloud on this machine is never behind a proxy, whatever the environment says
		pool.MaxIdleConnsPerHost = 32
		config.HTTP = &http.Client{Transport: pool}
	}
}

// API is the generated client, with the same token, user agent and retries, for what has no method of its own here.
func (c *Client) API() *api.Client { return c.api }

// Endpoint is the base URL as configured.
func (c *Client) Endpoint() string { return c.config.Endpoint }

func (c *Client) prepare(_ context.Context, request *http.Request) error {
	token := c.config.Token
	if c.config.TokenFile != "" {
		content, err := os.ReadFile(c.config.TokenFile)
		if err != nil {
			return fmt.Errorf("token file: %w", err)
		}
		token = strings.TrimSpace(string(content))
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if c.config.Project != "" {
		request.Header.Set("X-Mockcloud-Project", c.config.Project)
	}
	request.Header.Set("User-Agent", c.config.UserAgent)
	return nil
}

// call is the one way of a request: send, check, decode. A nil result type (struct{}) means that no body is expected.
func call[T any](ctx context.Context, c *Client, operation string,
	send func(context.Context) (*http.Response, error)) (T, error) {
	var result T
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	response, err := send(ctx)
	if err != nil {
		return result, fmt.Errorf("%s: %w", operation, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return result, problemFrom(operation, response)
	}
	if _, none := any(result).(struct{}); none {
		_, err = io.Copy(io.Discard, response.Body)
	} else {
		err = json.NewDecoder(response.Body).Decode(&result)
	}
	if err != nil {
		return result, fmt.Errorf("%s: reading the answer: %w", operation, err)
	}
	return result, nil
}

// byID is call for the one resource that its path names: only the 404 of such a call can be about a resource.
func byID[T any](ctx context.Context, c *Client, operation, id string,
	send func(context.Context) (*http.Response, error)) (T, error) {
	if id == "" {
		var none T
		return none, fmt.Errorf("%s: no id", operation) // or the path would be another
	}
	result, err := call[T](ctx, c, operation, send)
	var problem *Problem
	if errors.As(err, &problem) {
		problem.Resource = id
	}
	return result, err
}

// page is what every list answers.
type page[T any] struct {
	Items         []T     `json:"items"`
	NextPageToken *string `json:"next_page_token"`
	Revision      int64   `json:"revision"`
}

func onePage[T any](ctx context.Context, c *Client, operation string,
	send func(ctx context.Context) (*http.Response, error)) (page[T], error) {
	got, err := call[page[T]](ctx, c, operation, send)
	if err == nil && got.Items == nil {
		err = fmt.Errorf("%s: the answer is no list", operation) // or nothing would look like "none"
	}
	return got, err
}

// list collects all pages. The revision is that of the first page: events after it complete the list.
func list[T any](ctx context.Context, c *Client, operation string,
	send func(ctx context.Context, token *string) (*http.Response, error)) ([]T, int64, error) {
	var all []T
	var revision int64
	for token, first := (*string)(nil), true; first || token != nil; first = false {
		got, err := onePage[T](ctx, c, operation, func(ctx context.Context) (*http.Response, error) {
			return send(ctx, token)
		})
		if err != nil {
			return nil, 0, err
		}
		if first {
			revision = got.Revision
		}
		all = append(all, got.Items...)
		token = got.NextPageToken
	}
	return all, revision, nil
}

// Filter narrows a list; the zero value lists everything.
type Filter struct {
	Name    string
	Tags    map[string]string // all must match
	Network string            // routes only
	State   string            // comma-separated; where the kind has states
}

func (f Filter) name() *string { return optional(f.Name) }

// tags adds the tag filters, which the document describes but does not list as parameters.
func (f Filter) tags(_ context.Context, request *http.Request) error {
	query := request.URL.Query()
	for key, value := range f.Tags {
		query.Set("tag."+key, value)
	}
	request.URL.RawQuery = query.Encode()
	return nil
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

// newKey makes a repeat after Retry-After, or after a lost answer within one call, harmless.
func newKey() *string {
	key := uuid.NewString()
	return &key
}

var pageLimit = 1000
