package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// kube asks the API server as the pod's service account, whose token is read at every call: it is rotated.
type kube struct {
	base  string
	token string // file
	http  *http.Client
}

func inCluster() (*kube, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	}
	authority, err := os.ReadFile(serviceAccount + "ca.crt")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%sca.crt holds no certificate", serviceAccount)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &kube{
		base:  "https://" + net.JoinHostPort(host, port),
		token: serviceAccount + "token",
		http:  &http.Client{Transport: transport, Timeout: 10 * time.Second},
	}, nil
}

// podCIDRs of a Node; none while kube-controller-manager has not assigned any.
func (k *kube) podCIDRs(ctx context.Context, node string) ([]string, error) {
	token, err := os.ReadFile(k.token)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.base+"/api/v1/nodes/"+url.PathEscape(node), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := k.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("node %s: %s", node, response.Status)
	}
	var answer struct {
		Spec struct {
			PodCIDR  string   `json:"podCIDR"`
			PodCIDRs []string `json:"podCIDRs"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("node %s: %w", node, err)
	}
	if len(answer.Spec.PodCIDRs) == 0 && answer.Spec.PodCIDR != "" {
		return []string{answer.Spec.PodCIDR}, nil
	}
	return answer.Spec.PodCIDRs, nil
}
