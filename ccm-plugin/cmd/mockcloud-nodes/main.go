// Command mockcloud-nodes is the kubelets of a mock cloud's virtual instances: see package nodes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/nodes"
)

const help = `Turns the running instances of a mock cloud whose backend is virtual-node into Nodes, registered and kept alive as kubelets
with --cloud-provider=external would do it. When an instance stops, reboots or is terminated its node falls silent; what happens
then is the cluster's affair. Nodes are never deleted here.

Usage: mockcloud-nodes [FLAGS]

Environment: MOCKCLOUD_URL, MOCKCLOUD_TOKEN or MOCKCLOUD_TOKEN_FILE, KUBECONFIG.

Examples
  mockcloud-nodes --server http://127.0.0.1:9080 --token-file ./token --kubeconfig ./mockcloud-nodes.kubeconfig
  mockcloud-nodes --profile fast --cluster demo

Flags
`

// settings is the command line.
type settings struct {
	cloudURL, tokenFile, cluster   string
	kubeconfig, profile, logFormat string
	health                         string
	nodes                          nodes.Options
}

func main() {
	s, err := parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		os.Exit(0)
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		err = run(ctx, s)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mockcloud-nodes:", err)
		os.Exit(1)
	}
}

func parse(arguments []string) (settings, error) {
	var s settings
	flags := pflag.NewFlagSet("mockcloud-nodes", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Usage = func() { fmt.Print(help + flags.FlagUsagesWrapped(120)) }
	flags.StringVar(&s.cloudURL, "server", environment("MOCKCLOUD_URL", "http://127.0.0.1:9080"), "address of the mock cloud")
	flags.StringVar(&s.tokenFile, "token-file", os.Getenv("MOCKCLOUD_TOKEN_FILE"), "file with its token; read at every call")
	flags.StringVar(&s.cluster, "cluster", "", "only instances with the tag "+nodes.ClusterTag+"=`ID`; default all")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "of the cluster; default $KUBECONFIG, ~/.kube/config, or the pod's own")
	flags.StringVar(&s.profile, "profile", "stock", "stock: upstream's heartbeats; fast: leases of 4 s")
	flags.DurationVar(&s.nodes.LeaseDuration, "lease-duration", 0, "of the node leases (stock 40s, fast 4s)")
	flags.DurationVar(&s.nodes.RenewInterval, "renew-interval", 0, "between two renewals (default a quarter of the lease)")
	flags.DurationVar(&s.nodes.StatusInterval, "status-interval", 5*time.Minute, "between two reports of an unchanged status")
	flags.Int64Var(&s.nodes.Registrations, "registrations", 32, "that many nodes register at the same time")
	flags.BoolVar(&s.nodes.ProviderID, "provider-id", false, "register with spec.providerID, as kubelet --provider-id does")
	flags.StringToStringVar(&s.nodes.Labels, "node-label", nil, "label of every node, `KEY=VALUE`; repeatable")
	flags.StringVar(&s.health, "health-address", "", "serve /healthz and /readyz there; default not at all")
	flags.StringVar(&s.logFormat, "log-format", "text", "text or json")
	if err := flags.Parse(arguments); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, s.check()
}

func environment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// check completes the durations of the profile and refuses what makes no sense.
func (s *settings) check() error {
	lease := map[string]time.Duration{"stock": 40 * time.Second, "fast": 4 * time.Second}[s.profile]
	if lease == 0 {
		return fmt.Errorf("--profile: %q is not stock or fast", s.profile)
	}
	if s.nodes.LeaseDuration == 0 {
		s.nodes.LeaseDuration = lease
	}
	if s.nodes.RenewInterval == 0 {
		s.nodes.RenewInterval = s.nodes.LeaseDuration / 4
	}
	switch {
	case s.nodes.LeaseDuration < time.Second:
		return fmt.Errorf("--lease-duration: %s is less than 1s", s.nodes.LeaseDuration)
	case s.nodes.RenewInterval <= 0 || s.nodes.RenewInterval >= s.nodes.LeaseDuration:
		return fmt.Errorf("--renew-interval: %s is not between 0 and the lease's %s", s.nodes.RenewInterval, s.nodes.LeaseDuration)
	case s.nodes.StatusInterval <= 0:
		return fmt.Errorf("--status-interval: %s is not positive", s.nodes.StatusInterval)
	case s.nodes.Registrations < 1:
		return fmt.Errorf("--registrations: %d is not at least 1", s.nodes.Registrations)
	case s.logFormat != "text" && s.logFormat != "json":
		return fmt.Errorf("--log-format: %q is not text or json", s.logFormat)
	}
	return nil
}

func (s *settings) logger() *slog.Logger {
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

func (s *settings) cloud() (*client.Client, error) {
	config := client.Config{Endpoint: s.cloudURL, TokenFile: s.tokenFile, UserAgent: "mockcloud-nodes"}
	if s.tokenFile == "" {
		config.Token = os.Getenv("MOCKCLOUD_TOKEN")
	} else if _, err := os.ReadFile(s.tokenFile); err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	cloud, err := client.New(config)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	return cloud, nil
}

func (s *settings) kube() (kubernetes.Interface, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = s.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	config = rest.AddUserAgent(config, "mockcloud-nodes")
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.QPS = -1 // each kubelet of a real cluster has a limit of its own, far above what it needs
	return kubernetes.NewForConfig(config)
}

func run(ctx context.Context, s settings) error {
	log := s.logger()
	klog.SetSlogLogger(log) // client-go's
	cloud, err := s.cloud()
	if err != nil {
		return err
	}
	kube, err := s.kube()
	if err != nil {
		return err
	}
	fleet, err := nodes.NewFleet(kube, types(cloud), s.nodes, log)
	if err != nil {
		return err
	}
	follower := nodes.NewFollower(cloud, fleet, s.cluster, log)
	if s.health != "" {
		server, err := serveHealth(s.health, follower, fleet)
		if err != nil {
			return err
		}
		defer server.Close()
	}
	var both sync.WaitGroup
	both.Go(func() { fleet.Run(ctx) })
	both.Go(func() { follower.Run(ctx) })
	both.Wait()
	return nil
}

// types reads all instance types.
func types(cloud *client.Client) nodes.Types {
	return func(ctx context.Context) ([]api.InstanceType, error) {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		limit := 1000
		response, err := cloud.API().InstanceTypesList(ctx, &api.InstanceTypesListParams{Limit: &limit})
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("instance_types.list: %s", response.Status)
		}
		var list api.InstanceTypeList
		err = json.NewDecoder(response.Body).Decode(&list)
		return list.Items, err
	}
}

func serveHealth(address string, follower *nodes.Follower, fleet *nodes.Fleet) (*http.Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !follower.Live() {
			http.Error(w, "the event stream of the cloud is not open", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "ok: %d nodes are on\n", fleet.Count())
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--health-address: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return server, nil
}
