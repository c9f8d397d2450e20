// Package provider lets an upstream cloud-controller-manager manage the nodes, load balancers and routes of a mock cloud.
// Its types only translate between cloudprovider's interfaces and the cloud's API.
package provider

import (
	"context"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/component-base/version"

	"mockcloud.dev/ccm-plugin/cache"
	"mockcloud.dev/ccm-plugin/client"
)

// Name is what --cloud-provider takes.
const Name = "mockcloud"

// Tags on everything that the plugin makes. What lacks the first, with the value of our own cluster, is never touched.
const (
	ClusterTag = "mockcloud/cluster"
	ServiceTag = "mockcloud/service"
)

func init() {
	cloudprovider.RegisterCloudProvider(Name, func(file io.Reader) (cloudprovider.Interface, error) {
		config, err := ReadConfig(file, os.Getenv)
		if err != nil {
			return nil, err
		}
		return New(config)
	})
}

// Provider is the cloudprovider.Interface.
type Provider struct {
	config    Config
	cloud     *cache.Cloud
	recorder  record.EventRecorder // nil until Initialize
	instances *instances
	balancers *loadBalancers
	routes    *routes
}

var _ cloudprovider.Interface = (*Provider)(nil)

// New makes a provider; it makes no call to the cloud before Initialize or the first use.
func New(config Config) (*Provider, error) {
	api, err := client.New(client.Config{
		Endpoint:  config.Endpoint,
		Token:     config.Token,
		TokenFile: config.TokenFile,
		Timeout:   config.RequestTimeout.Duration,
		UserAgent: "mockcloud-ccm/" + version.Get().GitVersion,
	})
	if err != nil {
		return nil, fmt.Errorf("cloud-config: %w", err)
	}
	cloud := cache.New(api, config.Cache == "watch")
	p := &Provider{config: config, cloud: cloud}
	p.instances = &instances{cloud: cloud}
	p.balancers = newLoadBalancers(cloud, config, p.warn)
	p.routes = &routes{cloud: cloud, config: config}
	return p, nil
}

// Initialize starts the cache; with leader migration it can be called twice, a second time does nothing.
func (p *Provider) Initialize(builder cloudprovider.ControllerClientBuilder, stop <-chan struct{}) {
	if p.recorder != nil {
		return
	}
	broadcaster := record.NewBroadcaster()
	p.recorder = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "mockcloud-ccm"})
	if builder != nil {
		events := builder.ClientOrDie("mockcloud-cloud-provider").CoreV1().Events("")
		broadcaster.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: events})
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
		broadcaster.Shutdown()
	}()
	go p.cloud.Run(ctx)
}

// Cloud is the cache that all of it reads through, for controllers of our own beside upstream's.
func (p *Provider) Cloud() *cache.Cloud { return p.cloud }

// warn records an event on the Service where there is an API server to record it at.
func (p *Provider) warn(service *corev1.Service, reason, message string) {
	if p.recorder != nil {
		p.recorder.Event(service, corev1.EventTypeWarning, reason, message)
	}
}

func (p *Provider) InstancesV2() (cloudprovider.InstancesV2, bool)   { return p.instances, true }
func (p *Provider) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return p.balancers, true }
func (p *Provider) Routes() (cloudprovider.Routes, bool)             { return p.routes, true }
func (p *Provider) ProviderName() string                             { return Name }
func (p *Provider) HasClusterID() bool                               { return p.config.Cluster != "" }
func (p *Provider) Instances() (cloudprovider.Instances, bool)       { return nil, false }
func (p *Provider) Zones() (cloudprovider.Zones, bool)               { return nil, false }
func (p *Provider) Clusters() (cloudprovider.Clusters, bool)         { return nil, false }
