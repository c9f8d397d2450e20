// mockcloud-ccm is the upstream cloud-controller-manager with the provider of the mock cloud.
package main

import (
	"os"

	"k8s.io/apimachinery/pkg/util/wait"
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
	"k8s.io/klog/v2"

	"mockcloud.dev/ccm-plugin/provider"
)

func main() {
	ccmOptions, err := options.NewCloudControllerManagerOptions()
	if err != nil {
		klog.Fatalf("unable to initialize command options: %v", err)
	}
	ccmOptions.KubeCloudShared.CloudProvider.Name = provider.Name // the only one there is here; the flag still checks

	command := app.NewCloudControllerManagerCommand(ccmOptions, initialize, app.DefaultInitFuncConstructors,
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

func fatal(message string, err error) {
	klog.ErrorS(err, message)
	klog.FlushAndExit(klog.ExitFlushTimeout, 1)
}
