package provider

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	servicehelpers "k8s.io/cloud-provider/service/helpers"

	"mockcloud.dev/ccm-plugin/client/api"
)

// Annotations on a Service; the table in README.md explains them.
const (
	AnnotationScheme        = "mockcloud.dev/scheme"
	AnnotationAddresses     = "mockcloud.dev/addresses"
	AnnotationHostname      = "mockcloud.dev/hostname"
	AnnotationIPMode        = "mockcloud.dev/ip-mode"
	AnnotationIdleTimeout   = "mockcloud.dev/idle-timeout-seconds"
	AnnotationProxyProtocol = "mockcloud.dev/proxy-protocol"
)

// What the cloud assumes where a listener or health check says nothing.
const (
	defaultIdleTimeout     = 60
	defaultAffinityTimeout = 10800
	checkInterval          = 10
	checkTimeout           = 5
	checkThreshold         = 2
)

// wanted is what a Service asks of the cloud, every default filled in, so that it compares with what is there.
type wanted struct {
	scheme       api.Scheme
	families     []api.IPFamily
	addresses    []string // literals or names of reserved addresses; none: any address will do
	hostname     string
	ipMode       *corev1.LoadBalancerIPMode
	listeners    []api.Listener // without the pool's id, in order
	sourceRanges []string       // in order
	check        api.HealthCheck
}

// want reads a Service; the error is for its owner and names what is wrong.
func want(service *corev1.Service) (wanted, error) {
	w := wanted{scheme: api.SchemeInternetFacing}
	for _, step := range []func(*corev1.Service) error{
		w.readScheme, w.readHostname, w.readFamilies, w.readAddresses, w.readIPMode, w.readListeners, w.readSourceRanges,
	} {
		if err := step(service); err != nil {
			return wanted{}, err
		}
	}
	w.readHealthCheck(service)
	return w, nil
}

func (w *wanted) readScheme(service *corev1.Service) error {
	if value, given := service.Annotations[AnnotationScheme]; given {
		if w.scheme = api.Scheme(value); !w.scheme.Valid() {
			return fmt.Errorf("annotation %s: %q is neither internet-facing nor internal", AnnotationScheme, value)
		}
	}
	return nil
}

// readHostname refuses what Kubernetes would refuse in the Service's status.
func (w *wanted) readHostname(service *corev1.Service) error {
	w.hostname = service.Annotations[AnnotationHostname]
	if w.hostname != "" && (isLiteral(w.hostname) || len(validation.IsDNS1123Subdomain(w.hostname)) > 0) {
		return fmt.Errorf("annotation %s: %q is not a DNS name in lower case", AnnotationHostname, w.hostname)
	}
	return nil
}

func (w *wanted) readFamilies(service *corev1.Service) error {
	for _, family := range service.Spec.IPFamilies {
		switch family {
		case corev1.IPv4Protocol:
			w.families = append(w.families, api.IPFamilyIpv4)
		case corev1.IPv6Protocol:
			w.families = append(w.families, api.IPFamilyIpv6)
		default:
			return fmt.Errorf("spec.ipFamilies: %q is neither IPv4 nor IPv6", family)
		}
	}
	if len(w.families) == 0 {
		w.families = []api.IPFamily{api.IPFamilyIpv4}
	}
	return nil
}

func (w *wanted) readAddresses(service *corev1.Service) error {
	value, given := service.Annotations[AnnotationAddresses]
	if !given {
		value = service.Spec.LoadBalancerIP
	}
	for _, address := range strings.Split(value, ",") {
		if address = strings.TrimSpace(address); address != "" {
			w.addresses = append(w.addresses, address)
		}
	}
	if len(w.addresses) > len(w.families) {
		return fmt.Errorf("%d addresses asked for, the Service has %d IP families", len(w.addresses), len(w.families))
	}
	return nil
}

func (w *wanted) readIPMode(service *corev1.Service) error {
	value, given := service.Annotations[AnnotationIPMode]
	if !given {
		return nil
	}
	mode := corev1.LoadBalancerIPMode(value)
	if mode != corev1.LoadBalancerIPModeVIP && mode != corev1.LoadBalancerIPModeProxy {
		return fmt.Errorf("annotation %s: %q is neither VIP nor Proxy", AnnotationIPMode, value)
	}
	w.ipMode = &mode
	return nil
}

func (w *wanted) readListeners(service *corev1.Service) error {
	idle, err := idleTimeout(service)
	if err != nil {
		return err
	}
	proxy := api.ProxyProtocolNone
	if value, given := service.Annotations[AnnotationProxyProtocol]; given {
		if proxy = api.ProxyProtocol(value); !proxy.Valid() {
			return fmt.Errorf("annotation %s: %q is none of none, v1 and v2", AnnotationProxyProtocol, value)
		}
	}
	affinity, affinityTimeout := sessionAffinity(service)
	for _, port := range service.Spec.Ports {
		protocol, err := protocolOf(port)
		if err != nil {
			return err
		}
		if port.NodePort == 0 {
			return fmt.Errorf("port %d/%s has no node port, which is where a mockcloud load balancer sends the traffic: "+
				"set allocateNodePorts to true or the port's nodePort", port.Port, protocol)
		}
		listenerProxy := proxy
		if protocol == api.ProtocolUDP {
			listenerProxy = api.ProxyProtocolNone
		}
		w.listeners = append(w.listeners, api.Listener{
			Protocol: protocol, Port: int(port.Port), TargetPort: int(port.NodePort),
			IdleTimeoutSeconds: &idle, ProxyProtocol: &listenerProxy,
			SessionAffinity: &affinity, SessionAffinityTimeoutSeconds: &affinityTimeout,
		})
	}
	sortListeners(w.listeners)
	return nil
}

func protocolOf(port corev1.ServicePort) (api.Protocol, error) {
	switch port.Protocol {
	case corev1.ProtocolTCP, "":
		return api.ProtocolTCP, nil
	case corev1.ProtocolUDP:
		return api.ProtocolUDP, nil
	}
	return "", fmt.Errorf("port %d: a mockcloud load balancer does TCP and UDP, not %s", port.Port, port.Protocol)
}

func idleTimeout(service *corev1.Service) (int, error) {
	value, given := service.Annotations[AnnotationIdleTimeout]
	if !given {
		return defaultIdleTimeout, nil
	}
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 1 || seconds > 86400 {
		return 0, fmt.Errorf("annotation %s: %q is not a number from 1 to 86400", AnnotationIdleTimeout, value)
	}
	return seconds, nil
}

func sessionAffinity(service *corev1.Service) (api.SessionAffinity, int) {
	if service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return api.SessionAffinityNone, defaultAffinityTimeout
	}
	config := service.Spec.SessionAffinityConfig
	if config != nil && config.ClientIP != nil && config.ClientIP.TimeoutSeconds != nil {
		return api.SessionAffinityClientIp, int(*config.ClientIP.TimeoutSeconds)
	}
	return api.SessionAffinityClientIp, defaultAffinityTimeout
}

// readSourceRanges makes "everybody" explicit, for IPv6 too, where the helper knows only 0.0.0.0/0.
func (w *wanted) readSourceRanges(service *corev1.Service) error {
	ranges, err := servicehelpers.GetLoadBalancerSourceRanges(service)
	if err != nil {
		return err
	}
	w.sourceRanges = ranges.StringSlice()
	given := len(service.Spec.LoadBalancerSourceRanges) > 0 ||
		strings.TrimSpace(service.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]) != ""
	if !given {
		w.sourceRanges = nil
		for _, family := range w.families {
			w.sourceRanges = append(w.sourceRanges, map[api.IPFamily]string{
				api.IPFamilyIpv4: "0.0.0.0/0", api.IPFamilyIpv6: "::/0"}[family])
		}
	}
	slices.Sort(w.sourceRanges)
	return nil
}

// readHealthCheck: with externalTrafficPolicy Local only the nodes with a ready pod answer on the health check port; else any
// node that accepts connections will do, and there is nothing to connect to for UDP alone.
func (w *wanted) readHealthCheck(service *corev1.Service) {
	if path, port := servicehelpers.GetServiceHealthCheckPathPort(service); path != "" {
		w.check = healthCheck(api.HealthCheckProtocolHTTP, int(port), path)
		return
	}
	w.check = healthCheck(api.HealthCheckProtocolNone, 0, "/")
	for _, listener := range w.listeners {
		if listener.Protocol == api.ProtocolTCP {
			w.check = healthCheck(api.HealthCheckProtocolTCP, 0, "/")
		}
	}
}

func healthCheck(protocol api.HealthCheckProtocol, port int, path string) api.HealthCheck {
	interval, timeout, healthy, unhealthy := checkInterval, checkTimeout, checkThreshold, checkThreshold
	return api.HealthCheck{Protocol: protocol, Port: &port, Path: &path, IntervalSeconds: &interval,
		TimeoutSeconds: &timeout, HealthyThreshold: &healthy, UnhealthyThreshold: &unhealthy}
}

// withPool completes the listeners for the cloud.
func (w *wanted) withPool(poolID string) []api.Listener {
	listeners := slices.Clone(w.listeners)
	for i := range listeners {
		listeners[i].TargetPoolId = poolID
	}
	return listeners
}

func sameListeners(a, b []api.Listener) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	sortListeners(a)
	sortListeners(b)
	return slices.EqualFunc(a, b, func(x, y api.Listener) bool {
		return x.Protocol == y.Protocol && x.Port == y.Port && x.TargetPort == y.TargetPort &&
			x.TargetPoolId == y.TargetPoolId &&
			or(x.IdleTimeoutSeconds, defaultIdleTimeout) == or(y.IdleTimeoutSeconds, defaultIdleTimeout) &&
			or(x.ProxyProtocol, api.ProxyProtocolNone) == or(y.ProxyProtocol, api.ProxyProtocolNone) &&
			or(x.SessionAffinity, api.SessionAffinityNone) == or(y.SessionAffinity, api.SessionAffinityNone) &&
			or(x.SessionAffinityTimeoutSeconds, defaultAffinityTimeout) ==
				or(y.SessionAffinityTimeoutSeconds, defaultAffinityTimeout)
	})
}

func sortListeners(listeners []api.Listener) {
	slices.SortFunc(listeners, func(a, b api.Listener) int {
		if a.Port != b.Port {
			return a.Port - b.Port
		}
		return strings.Compare(string(a.Protocol), string(b.Protocol))
	})
}

// sameCheck ignores what the protocol does not use.
func sameCheck(a, b api.HealthCheck) bool {
	if a.Protocol != b.Protocol || a.Protocol == api.HealthCheckProtocolNone {
		return a.Protocol == b.Protocol
	}
	samePath := a.Protocol != api.HealthCheckProtocolHTTP || or(a.Path, "/") == or(b.Path, "/")
	return samePath && or(a.Port, 0) == or(b.Port, 0) &&
		or(a.IntervalSeconds, checkInterval) == or(b.IntervalSeconds, checkInterval) &&
		or(a.TimeoutSeconds, checkTimeout) == or(b.TimeoutSeconds, checkTimeout) &&
		or(a.HealthyThreshold, checkThreshold) == or(b.HealthyThreshold, checkThreshold) &&
		or(a.UnhealthyThreshold, checkThreshold) == or(b.UnhealthyThreshold, checkThreshold)
}

func sameRanges(a, b []string) bool {
	normal := func(ranges []string) []string {
		var all []string
		for _, cidr := range ranges {
			all = append(all, canonical(cidr))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	return slices.Equal(normal(a), normal(b))
}

// fits says whether a load balancer has what cannot be changed later: scheme, hostname, families and the addresses asked for.
func (w *wanted) fits(balancer api.LoadBalancer, addressIDs []string) bool {
	if balancer.Scheme != w.scheme || or(balancer.Hostname, "") != w.hostname {
		return false
	}
	var families, ids []string
	for _, address := range balancer.Addresses {
		families = append(families, string(address.Family))
		ids = append(ids, or(address.AddressId, ""))
	}
	var wantedFamilies []string
	for _, family := range w.families {
		wantedFamilies = append(wantedFamilies, string(family))
	}
	slices.Sort(families)
	slices.Sort(wantedFamilies)
	if len(balancer.Addresses) > 0 && !slices.Equal(families, wantedFamilies) {
		return false
	}
	for _, id := range addressIDs {
		if !slices.Contains(ids, id) {
			return false
		}
	}
	return true
}

// status is what the Service's status shall say: the hostname where there is one, else the addresses.
func (w *wanted) status(balancer api.LoadBalancer) *corev1.LoadBalancerStatus {
	if balancer.Hostname != nil && *balancer.Hostname != "" {
		return &corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{Hostname: *balancer.Hostname}}}
	}
	status := &corev1.LoadBalancerStatus{}
	for _, address := range balancer.Addresses {
		status.Ingress = append(status.Ingress, corev1.LoadBalancerIngress{IP: address.Address, IPMode: w.ipMode})
	}
	return status
}

func isLiteral(address string) bool {
	_, err := netip.ParseAddr(address)
	return err == nil
}

// sameAddress: a literal may be written in several ways.
func sameAddress(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return a == b || (errX == nil && errY == nil && x == y)
}

func or[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

func familyOf(literal string) api.IPFamily {
	if address, err := netip.ParseAddr(literal); err == nil && address.Is6() {
		return api.IPFamilyIpv6
	}
	return api.IPFamilyIpv4
}
