// Package e2e runs the real mockcloud-ccm on a real control plane (etcd, kube-apiserver, kube-controller-manager) and a real mock
// cloud. Each test is named after the assertion of docs/CCM-BEHAVIOUR.md that it proves. The nodes are emulated: a Node
// object and a lease that is renewed while the machine has power.
//
// All tests share one control plane and one CCM and run one after the other. Between the CCM and the cloud is a proxy that counts
// calls and injects faults; the tests themselves go past it.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/testserver"
)

const (
	clusterID   = "e2e"
	clusterCIDR = "10.128.0.0/9"
	// The CCM's cloud-config "cache"; the environment variable runs all tests without it.
	cacheEnv = "MOCKCLOUD_E2E_CACHE"
	// A CCM that is built already.
	binaryEnv = "MOCKCLOUD_CCM_BIN"
	// The control plane's name: what a run that was killed has left is taken down by the next.
	controlPlaneName = "e2e"
)

// environment is what all tests share.
type environment struct {
	directory string
	lock      *os.File // one run at a time: they would share the control plane
	admin     *rest.Config
	kube      kubernetes.Interface
	kubectl   string
	server    *testserver.Server
	cloud     *client.Client // past the proxy
	proxy     *testserver.Proxy
	ccm       *manager
	power     *powerPlant
}

var env environment

func TestMain(m *testing.M) {
	code := 1
	if err := env.up(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: %v\n", err)
	} else {
		code = m.Run()
	}
	if err := env.down(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: taking down: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

func (e *environment) up() (err error) {
	if e.directory, err = os.MkdirTemp("", "mockcloud-e2e-"); err != nil {
		return err
	}
	if e.server, err = testserver.Launch(testserver.Options{Clock: "real"}); err != nil {
		return err
	}
	e.cloud = e.server.Client
	if e.proxy, err = testserver.OpenProxy(e.server.URL); err != nil {
		return err
	}
	binary := os.Getenv(binaryEnv)
	if binary == "" {
		binary = filepath.Join(e.directory, "mockcloud-ccm")
		if _, err := run("go", "build", "-o", binary, "mockcloud.dev/ccm-plugin/cmd/mockcloud-ccm"); err != nil {
			return err
		}
	}
	if err := e.lockUp(); err != nil {
		return err
	}
	if err := e.controlPlane(); err != nil {
		return err
	}
	kubeconfig, err := e.serviceAccount()
	if err != nil {
		return err
	}
	if e.ccm, err = newManager(e, binary, kubeconfig); err != nil {
		return err
	}
	e.power = startPowerPlant(e.kube)
	return e.ccm.start()
}

func (e *environment) down() error {
	var problems []error
	if e.ccm != nil {
		e.ccm.kill()
	}
	if e.power != nil {
		e.power.stop()
	}
	if e.lock != nil {
		_, err := run(script(), "down", "--name", controlPlaneName)
		problems = append(problems, err, e.lock.Close())
	}
	if e.proxy != nil {
		e.proxy.Close()
	}
	if e.server != nil {
		problems = append(problems, e.server.Stop())
	}
	return errors.Join(append(problems, os.RemoveAll(e.directory))...)
}

func repository() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..")
}

func script() string { return filepath.Join(repository(), "scripts", "control-plane") }

// lockUp waits for another run on this machine to end.
func (e *environment) lockUp() error {
	file, err := os.OpenFile(filepath.Join(os.TempDir(), "mockcloud-e2e.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("waiting for another run: %w", err)
	}
	e.lock = file
	return nil
}

// controlPlane brings up a control plane of our own and reads where it is.
func (e *environment) controlPlane() error {
	if _, err := run(script(), "down", "--name", controlPlaneName); err != nil {
		return err
	}
	if _, err := run(script(), "up", "--name", controlPlaneName, "--profile", "fast", "--cluster-cidr", clusterCIDR); err != nil {
		return err
	}
	output, err := run(script(), "env", "--name", controlPlaneName)
	if err != nil {
		return err
	}
	variables := map[string]string{}
	for line := range strings.Lines(output) {
		name, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "export ")), "=")
		variables[name] = value
	}
	e.kubectl = variables["KUBECTL"]
	if e.admin, err = clientcmd.BuildConfigFromFlags("", variables["KUBECONFIG"]); err != nil {
		return err
	}
	e.admin.QPS, e.admin.Burst = 200, 400
	e.kube, err = kubernetes.NewForConfig(e.admin)
	if err != nil {
		return err
	}
	_, err = run(e.kubectl, "--kubeconfig", variables["KUBECONFIG"], "apply", "--server-side", "--force-conflicts",
		"-f", filepath.Join(repository(), "ccm-plugin", "deploy", "base", "rbac.yaml"))
	return err
}

// serviceAccount makes a kubeconfig of the account in deploy/base/rbac.yaml, so that every test proves its rights sufficient.
func (e *environment) serviceAccount() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	day := int64(86400)
	token, err := e.kube.CoreV1().ServiceAccounts("kube-system").CreateToken(ctx, "mockcloud-ccm",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of the service account: %w", err)
	}
	authority := e.admin.CAData
	if len(authority) == 0 {
		if authority, err = os.ReadFile(e.admin.CAFile); err != nil {
			return "", err
		}
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["e2e"] = &clientcmdapi.Cluster{Server: e.admin.Host, CertificateAuthorityData: authority}
	config.AuthInfos["ccm"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: "ccm"}
	config.CurrentContext = "e2e"
	path := filepath.Join(e.directory, "ccm.kubeconfig")
	return path, clientcmd.WriteToFile(*config, path)
}

func run(name string, arguments ...string) (string, error) {
	command := exec.Command(name, arguments...)
	var output, problems strings.Builder
	command.Stdout, command.Stderr = &output, &problems
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(arguments, " "), err, output.String(), problems.String())
	}
	return output.String(), nil
}

// freePort takes one below the range that the kernel hands out: no connection gets it while the CCM is down.
func freePort() (int, error) {
	for range 200 {
		port := 20000 + rand.IntN(12000)
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port between 20000 and 32000")
}
