// mockcloud-ccm is the upstream cloud-controller-manager with the provider of the mock cloud.
package main

import (
	"context"
	"maps"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/app/config"
	"k8s.io/cloud-provider/names"
	"k8s.io/cloud-provider/options"
	"k8s.io/component-base/cli"
	cliflag "k8s.io/component-base/cli/flag"
	_ "k8s.io/component-base/logs/json/register"          // JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client-go's metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // the version metric
	controllermanager "k8s.io/controller-manager/app"
	"k8s.io/controller-manager/controller"
	"k8s.io/klog/v2"

	"mockcloud.dev/ccm-plugin/interruption"
	"mockcloud.dev/ccm-plugin/provider"
)

func main() {
	ccmOptions, err := options.NewCloudControllerManagerOptions()
	if err != nil {
		klog.Fatalf("unable to initialize command options: %v", err)
	}
	ccmOptions.KubeCloudShared.CloudProvider.Name = provider.Name // the only one there is here; the flag still checks

	controllers := maps.Clone(app.DefaultInitFuncConstructors)
	controllers[interruption.Name] = app.ControllerInitFuncConstructor{
		InitContext: app.ControllerInitContext{ClientName: interruption.Name},
		Constructor: interruptionController,
	}
	command := app.NewCloudControllerManagerCommand(ccmOptions, initialize, controllers,
		names.CCMControllerAliases(), cliflag.NamedFlagSets{}, wait.NeverStop)
	command.Use = "mockcloud-ccm"
	os.Exit(cli.Run(command))
}

// initialize is upstream's sample: a provider that cannot start ends the process with one line that says why.
func initialize(completed *config.CompletedConfig) cloudprovider.Interface {
	shared := completed.ComponentConfig.KubeCloudShared
	cloud, err := cloudprovider.InitCloudProvider(shared.CloudProvider.Name, shared.CloudProvider.CloudConfigFile)
	if err != nil {
		fatal("the cloud provider could not be initialized", err)
	}
	if cloud == nil {
		fatal("there is no cloud provider of that name: "+shared.CloudProvider.Name, nil)
	}
	if cloud.HasClusterID() {
		return cloud
	}
	if !shared.AllowUntaggedCloud {
		fatal("no cluster id: set cluster in the cloud-config or MOCKCLOUD_CLUSTER (or allow it with --allow-untagged-cloud)", nil)
	}
	klog.Warning("no cluster id: everything in the cloud that is tagged with --cluster-name counts as this cluster's own")
	return cloud
}

// interruptionController starts our own controller as upstream starts its own. It lives on the copy of the cloud alone, so without
// one it is skipped.
func interruptionController(identity app.ControllerInitContext, completed *config.CompletedConfig, cloud cloudprovider.Interface) app.InitFunc {
	return func(ctx context.Context, manager controllermanager.ControllerContext) (controller.Interface, bool, error) {
		ours, isOurs := cloud.(*provider.Provider)
		if !isOurs || !ours.Cloud().Watches() {
			klog.Warningf("%s needs cache: watch in the cloud-config", interruption.Name)
			return nil, false, nil
		}
		recorder := completed.EventBroadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: interruption.Name})
		c, err := interruption.New(ours.Cloud(), completed.ClientBuilder.ClientOrDie(identity.ClientName), recorder,
			completed.SharedInformers.Core().V1().Nodes())
		if err != nil {
			return nil, false, err
		}
		go func() {
			manager.ControllerManagerMetrics.ControllerStarted(interruption.Name)
			defer manager.ControllerManagerMetrics.ControllerStopped(interruption.Name)
			c.Run(ctx)
		}()
		return nil, true, nil
	}
}

func fatal(message string, err error) {
	klog.ErrorS(err, message)
	klog.FlushAndExit(klog.ExitFlushTimeout, 1)
}
