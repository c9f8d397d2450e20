package testserver

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is what a Proxy does to requests instead of, or in addition to, passing them on.
type Fault struct {
	Method string // empty: any
	Path   string // prefix of the path
	Query  string // part of the raw query; empty: any
	Times  int    // how often; 0: until cleared

	Status     int           // answer this …
	RetryAfter string        // … with this Retry-After …
	Commit     bool          // … but only after the cloud has done it
	Delay      time.Duration // wait first
	Drop       bool          // cut the connection instead of an answer (with Commit: after the cloud has done it)
	NotProblem bool          // a proxy's page instead of a problem document
}

// Call is one request that a Proxy has seen.
type Call struct {
	Method, Path, Query string
	Status              int // 0: dropped, or not answered yet
	At                  time.Time
	Took                time.Duration // until the answer was complete; 0 as long as it is not
}

// Read says whether the call only asked something.
func (c Call) Read() bool { return c.Method == http.MethodGet }

// Proxy passes requests on to a cloud, counts them and injects faults.
type Proxy struct {
	URL string

	mu     sync.Mutex
	faults []*Fault
	calls  []*Call
	server *httptest.Server
}

// NewProxy starts a proxy that ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p, err := OpenProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// OpenProxy is NewProxy for a proxy that several tests share; the caller closes it.
func OpenProxy(target string) (*Proxy, error) {
	base, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(base) },
		FlushInterval: -1, // the event stream
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	p := &Proxy{}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(forward, w, r) }))
	p.URL = p.server.URL
	return p, nil
}

// Close ends it, open streams included.
func (p *Proxy) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

// Inject adds a fault; the function takes it away again.
func (p *Proxy) Inject(fault Fault) (clear func()) {
	added := &fault
	if added.Times == 0 {
		added.Times = -1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, added)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = slices.DeleteFunc(p.faults, func(f *Fault) bool { return f == added })
	}
}

// CutStreams ends every connection, the event stream above all.
func (p *Proxy) CutStreams() { p.server.CloseClientConnections() }

// Calls returns what was asked since the last Reset, streams included.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := make([]Call, len(p.calls))
	for i, call := range p.calls {
		calls[i] = *call
	}
	return calls
}

// Count counts calls by method and path prefix.
func (p *Proxy) Count(method, path string) int {
	count := 0
	for _, call := range p.Calls() {
		if (method == "" || call.Method == method) && strings.HasPrefix(call.Path, path) {
			count++
		}
	}
	return count
}

// Reset forgets the calls.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = nil
}

func (p *Proxy) serve(forward http.Handler, w http.ResponseWriter, r *http.Request) {
	fault := p.match(r)
	call := p.record(Call{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, At: time.Now()})
	if fault != nil && fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-r.Context().Done():
			return
		}
	}
	// Whole, before it is passed on: httputil's proxy cuts an answer that comes before it has seen the end of the body.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // who called has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if fault == nil || (fault.Status == 0 && !fault.Drop) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { p.finish(call, recorder.status) }()
		forward.ServeHTTP(recorder, r)
		return
	}
	if fault.Commit {
		forward.ServeHTTP(httptest.NewRecorder(), r)
	}
	if fault.Drop {
		panic(http.ErrAbortHandler)
	}
	p.finish(call, fault.Status)
	writeFault(w, fault)
}

func writeFault(w http.ResponseWriter, fault *Fault) {
	if fault.RetryAfter != "" {
		w.Header().Set("Retry-After", fault.RetryAfter)
	}
	if fault.NotProblem {
		http.Error(w, "<html>not the cloud</html>", fault.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(fault.Status)
	fmt.Fprintf(w, `{"type":"about:blank","title":"injected","status":%d,"code":"injected","detail":"injected by the test","request_id":"r-0"}`,
		fault.Status)
}

func (p *Proxy) match(r *http.Request) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fault := range p.faults {
		if fault.Times == 0 || (fault.Method != "" && fault.Method != r.Method) ||
			!strings.HasPrefix(r.URL.Path, fault.Path) || !strings.Contains(r.URL.RawQuery, fault.Query) {
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return fault
	}
	return nil
}

func (p *Proxy) record(call Call) *Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, &call)
	return &call
}

func (p *Proxy) finish(call *Call, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	call.Status = status
	call.Took = time.Since(call.At)
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the reverse proxy flush.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
