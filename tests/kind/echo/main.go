// echo is the program of the test's pods: it says where it runs, and fetches what it is told to, as a pod would. `echo fetch
// URL [HEADER:VALUE]` does so by itself, for tests that run it in the network of a node: status code, then the body.
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
	if len(os.Args) > 2 && os.Args[1] == "fetch" {
		fetchOnce(os.Args[2], os.Args[3:])
		return
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\n", os.Getenv("NODE_NAME"), os.Getenv("POD_IP"))
	})
	http.HandleFunc("/fetch", fetch)
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// a connection of its own each time: what is asked is whether there is a way now
var client = http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(url string, headers []string) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(name, value)
	}
	return client.Do(request)
}

func fetchOnce(url string, headers []string) {
	response, err := get(url, headers)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.StatusCode)
	_, _ = io.Copy(os.Stdout, response.Body)
}

// fetch?url=…&header=Name:value: status line and body of the answer; 502 when there is none.
func fetch(w http.ResponseWriter, r *http.Request) {
	response, err := get(r.URL.Query().Get("url"), r.URL.Query()["header"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}
