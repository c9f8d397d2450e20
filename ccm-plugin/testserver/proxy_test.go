package testserver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"mockcloud.dev/ccm-plugin/testserver"
)

func TestACallThatWasUnderWayAtAResetChangesNoOther(t *testing.T) {
	release := make(chan struct{})
	cloud := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(cloud.Close)
	proxy := testserver.NewProxy(t, cloud.URL)
	get := func(path string) {
		response, err := http.Get(proxy.URL + path)
		if err != nil {
			t.Error(err)
			return
		}
		response.Body.Close()
	}

	slow := make(chan struct{})
	go func() {
		defer close(slow)
		get("/slow")
	}()
	testserver.Eventually(t, 10*time.Second, "the slow call is under way", func() (bool, string) {
		return proxy.Count("GET", "/slow") == 1, "not seen"
	})
	proxy.Reset()
	proxy.Inject(testserver.Fault{Path: "/failed", Status: 500})
	get("/failed")
	close(release)
	<-slow
	proxy.Close() // waits until it is done with both
	if calls := proxy.Calls(); len(calls) != 1 || calls[0].Path != "/failed" || calls[0].Status != 500 {
		t.Fatalf("%+v", calls)
	}
}

func TestADelayedStreamIsAStream(t *testing.T) {
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "line\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(cloud.Close)
	proxy := testserver.NewProxy(t, cloud.URL)
	proxy.Inject(testserver.Fault{Path: "/stream", Delay: time.Millisecond})
	line := make(chan string, 1)
	go func() {
		first := make([]byte, 5)
		if response, err := http.Get(proxy.URL + "/stream"); err == nil { // it ends with the proxy
			defer response.Body.Close()
			_, _ = io.ReadFull(response.Body, first)
		}
		line <- string(first)
	}()
	select {
	case got := <-line:
		if got != "line\n" {
			t.Fatalf("%q", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing of the stream arrives")
	}
}
