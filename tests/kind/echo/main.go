// echo is the program of the test's pods: it says where it runs, and fetches what it is told to, as a pod would.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\n", os.Getenv("NODE_NAME"), os.Getenv("POD_IP"))
	})
	http.HandleFunc("/fetch", fetch)
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// fetch?url=…&header=Name:value: status line and body of the answer; 502 when there is none.
func fetch(w http.ResponseWriter, r *http.Request) {
	request, err := http.NewRequestWithContext(r.Context(), r.URL.Query().Get("method"), r.URL.Query().Get("url"), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, header := range r.URL.Query()["header"] {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(name, value)
	}
	// a connection of its own each time: what is asked is whether there is a way now
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}
