package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	configuration   = "etc/cni/net.d/10-mockcloud.conflist"
	chain           = "MOCKCLOUD-MASQ"
	metadataAddress = "169.254.169.254"
)

// host is the node: its file system below root, its programs called with root as their file system. The network namespace is
// this process's own, which is the node's.
type host struct {
	root string
	exec func(ctx context.Context, program string, arguments ...string) ([]byte, error) // nil: really; set by tests
}

func (h *host) run(ctx context.Context, program string, arguments ...string) error {
	call := h.exec
	if call == nil {
		call = h.chroot
	}
	if output, err := call(ctx, program, arguments...); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(arguments, " "), err, bytes.TrimSpace(output))
	}
	return nil
}

func (h *host) chroot(ctx context.Context, program string, arguments ...string) ([]byte, error) {
	// env, because the program is looked for in the node's file system, not in ours
	command := exec.CommandContext(ctx, "/usr/bin/env", append([]string{program}, arguments...)...)
	command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: h.root}
	return command.CombinedOutput()
}

// fallbackRoute: until somebody sets a more specific route, pods of other nodes are out of reach; their addresses mean nothing to
// the network outside and must not get there.
func (h *host) fallbackRoute(ctx context.Context, cluster netip.Prefix) error {
	return h.run(ctx, "ip", family(cluster.Addr()), "route", "replace", "unreachable", cluster.String())
}

// metadataRoute leads the metadata service's well-known address through the server, which knows the caller by its address.
func (h *host) metadataRoute(ctx context.Context, via string) error {
	if via == "" {
		return nil
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", via)
	if err != nil {
		return err
	}
	return h.run(ctx, "ip", "-4", "route", "replace", metadataAddress+"/32", "via", addresses[0].Unmap().String())
}

// masquerade: pods talk to pods under their own addresses and to everything else under the node's. The rules stand in a chain
// of our own, which is made anew only when it differs.
func (h *host) masquerade(ctx context.Context, own, cluster []netip.Prefix) error {
	for _, prefix := range own {
		program := "iptables"
		if prefix.Addr().Is6() {
			program = "ip6tables"
		}
		for _, rule := range masqueradeRules(prefix, cluster) {
			if h.run(ctx, program, append([]string{"-w", "-t", "nat", "-C"}, rule...)...) == nil {
				continue
			}
			_ = h.run(ctx, program, "-w", "-t", "nat", "-N", chain) // it may be there
			if err := h.run(ctx, program, append([]string{"-w", "-t", "nat", "-A"}, rule...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func masqueradeRules(own netip.Prefix, cluster []netip.Prefix) [][]string {
	rules := [][]string{}
	for _, prefix := range cluster {
		if prefix.Addr().Is6() == own.Addr().Is6() {
			rules = append(rules, []string{chain, "-d", prefix.String(), "-j", "RETURN"})
		}
	}
	rules = append(rules, []string{chain, "-j", "MASQUERADE"})
	// last, so that nothing is sent through half a chain
	return append(rules, []string{"POSTROUTING", "-s", own.String(), "-m", "comment", "--comment", "pods of this node", "-j", chain})
}

// writeConfiguration: written beside and moved, because containerd reads the directory when a file of it is renamed or written;
// and only when it differs, because that makes it read.
func (h *host) writeConfiguration(prefixes []netip.Prefix) error {
	content, err := json.MarshalIndent(conflist(prefixes), "", "  ")
	if err != nil {
		return err
	}
	content = append(content, '\n')
	path := filepath.Join(h.root, configuration)
	if known, err := os.ReadFile(path); err == nil && bytes.Equal(known, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

type object = map[string]any

func conflist(prefixes []netip.Prefix) object {
	ranges, routes := [][]object{}, []object{}
	for _, prefix := range prefixes {
		ranges = append(ranges, []object{{"subnet": prefix.String()}})
		if prefix.Addr().Is6() {
			routes = append(routes, object{"dst": "::/0"})
		} else {
			routes = append(routes, object{"dst": "0.0.0.0/0"})
		}
	}
	return object{
		"cniVersion": "1.0.0",
		"name":       "mockcloud",
		"plugins": []object{
			{"type": "ptp", "ipam": object{"type": "host-local", "dataDir": "/run/mockcloud-cni", "ranges": ranges, "routes": routes}},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}
}

func family(address netip.Addr) string {
	if address.Is6() {
		return "-6"
	}
	return "-4"
}
