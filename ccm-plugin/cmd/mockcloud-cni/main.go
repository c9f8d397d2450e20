// mockcloud-cni gives the pods of one node their network in a cluster whose pod routes are the cloud's: it writes a CNI
// configuration (ptp and host-local, which every kind node image has) for the node's pod CIDRs, and what the node itself
// needs around it. It sets no route to another node's pods: those come from the cloud's route controller. Without
// --cluster-cidr the pod network is somebody else's and it only sees to the route to the metadata service.
//
// It runs as a DaemonSet in the node's network namespace with the node's root file system at --host, and calls the node's
// own ip and iptables there. Only the standard library, so that it adds little to the image.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

type options struct {
	node        string
	clusterCIDR []netip.Prefix
	host        string
	metadata    string
	period      time.Duration
}

func main() {
	options, err := parse(os.Args[1:], os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mockcloud-cni:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	api, err := inCluster()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mockcloud-cni:", err)
		os.Exit(1)
	}
	run(ctx, options, api, &host{root: options.host})
}

func parse(arguments []string, getenv func(string) string) (options, error) {
	var o options
	var cidrs string
	flags := flag.NewFlagSet("mockcloud-cni", flag.ContinueOnError)
	flags.StringVar(&o.node, "node", getenv("NODE_NAME"), "name of this Node (NODE_NAME)")
	flags.StringVar(&cidrs, "cluster-cidr", getenv("CLUSTER_CIDR"),
		"pod CIDRs of the whole cluster, comma-separated (CLUSTER_CIDR; none: leave the pod network alone)")
	flags.StringVar(&o.host, "host", "/host", "where the node's root file system is mounted")
	flags.StringVar(&o.metadata, "metadata-via", getenv("METADATA_VIA"),
		"name or address of the mockcloud server: 169.254.169.254 is reached through it (METADATA_VIA; none: no such route)")
	flags.DurationVar(&o.period, "period", 10*time.Second, "how often everything is looked at again")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.node == "" {
		return o, fmt.Errorf("--node: missing (or set NODE_NAME)")
	}
	if o.period < time.Second {
		return o, fmt.Errorf("--period: %s is less than a second", o.period)
	}
	if cidrs == "" {
		return o, nil
	}
	var err error
	if o.clusterCIDR, err = parsePrefixes(strings.Split(cidrs, ",")); err != nil {
		return o, fmt.Errorf("--cluster-cidr: %w", err)
	}
	return o, nil
}

func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// run converges until the context ends; what it has set stays.
func run(ctx context.Context, o options, api *kube, h *host) {
	configured := ""
	for {
		state, err := converge(ctx, o, api, h)
		switch {
		case err != nil:
			slog.Error("not yet", "error", err)
		case state != configured:
			slog.Info("pods of this node get addresses", "node", o.node, "cidrs", state)
			configured = state
		}
		wait := o.period
		if err != nil {
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func converge(ctx context.Context, o options, api *kube, h *host) (string, error) {
	metadata := h.metadataRoute(ctx, o.metadata)
	if len(o.clusterCIDR) == 0 {
		return "", metadata
	}
	if metadata != nil {
		slog.Error("metadata route", "error", metadata) // pods need their network all the same
	}
	cidrs, err := api.podCIDRs(ctx, o.node)
	if err != nil {
		return "", err
	}
	if len(cidrs) == 0 {
		return "", fmt.Errorf("node %s has no podCIDR yet", o.node)
	}
	prefixes, err := parsePrefixes(cidrs)
	if err != nil {
		return "", err
	}
	for _, cluster := range o.clusterCIDR {
		if err := h.fallbackRoute(ctx, cluster); err != nil {
			return "", err
		}
	}
	if err := h.masquerade(ctx, prefixes, o.clusterCIDR); err != nil {
		return "", err
	}
	return strings.Join(cidrs, ","), h.writeConfiguration(prefixes)
}
