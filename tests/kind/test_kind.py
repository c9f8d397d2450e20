"""The nodes of a real kind cluster are instances of the mock cloud. The tests share a cluster and run in this order."""

import time
import urllib.request
from http.client import HTTPException
from urllib.parse import urlencode

import pytest

from conftest import (ECHO_IMAGE, FIGURES, Cluster, condition_of, container_state, eventually, kind_down, kind_up, run)

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
SHUTDOWN = "node.cloudprovider.kubernetes.io/shutdown"


def http(address, path="/", timeout=3):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=timeout) as answer:
        return answer.read().decode()


def echo_daemonset():
    env = [{"name": n, "valueFrom": {"fieldRef": {"fieldPath": p}}} for n, p in
           (("NODE_NAME", "spec.nodeName"), ("POD_IP", "status.podIP"))]
    return {
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "echo", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "echo"}},
                 "template": {"metadata": {"labels": {"app": "echo"}},
                              "spec": {"containers": [{"name": "echo", "image": ECHO_IMAGE, "imagePullPolicy": "Never",
                                                       "env": env, "ports": [{"containerPort": 8080}]}]}}},
    }


def service(name, kind="LoadBalancer"):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": kind, "selector": {"app": "echo"}, "ports": [{"port": 80, "targetPort": 8080}]}}


def echo_pods(cluster):
    """Node name → pod address, of the pods that are ready."""
    pods = cluster.get("pods", "-l", "app=echo")["items"]
    return {p["spec"]["nodeName"]: p["status"]["podIP"] for p in pods
            if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))}


@pytest.fixture(scope="session")
def echo(one):
    one.apply(echo_daemonset())
    eventually("a pod on each worker is ready", lambda: {"one-worker", "one-worker2"} <= set(echo_pods(one)))
    return one


@pytest.fixture(scope="session")
def front(echo, cloud):
    """Address of a load balancer in front of the pods."""
    begun = time.monotonic()
    echo.apply(service("front"))
    address = eventually("the Service has its address",
                         lambda: echo.get("service", "front")["status"]["loadBalancer"]["ingress"][0]["ip"])
    eventually("the load balancer answers on this host", lambda: http(address))
    FIGURES["Service created to first byte"] = time.monotonic() - begun
    return address


def fetch(node, url, *headers):
    """Status code and body, as a process on the node gets them."""
    code, _, body = run("docker", "run", "--rm", "--network", f"container:{node}", ECHO_IMAGE, "fetch", url, *headers).stdout.partition("\n")
    return int(code), body


def reaches(pods, source, target):
    """Whether the pod on one node reaches the pod on the other; it is asked through its node, which always reaches its own."""
    url = urlencode({"url": f"http://{pods[target]}:8080/"})
    code, body = fetch(source, f"http://{pods[source]}:8080/fetch?{url}")
    return code == 200 and target in body


# --- nodes ---

def test_nodes_are_initialised_with_what_the_cloud_knows(one, cloud):
    for name in ("one-control-plane", "one-worker", "one-worker2"):
        node, instance = one.node(name), cloud.instance(name)
        labels = node["metadata"]["labels"]
        assert node["spec"]["providerID"] == f"mockcloud://{instance['zone']}/{instance['id']}"
        assert labels["topology.kubernetes.io/zone"] == instance["zone"]
        assert labels["topology.kubernetes.io/region"] == instance["region"]
        assert labels["node.kubernetes.io/instance-type"] == instance["type"]
        assert UNINITIALIZED not in one.taints(name)
        internal = {a["address"] for a in instance["addresses"] if a["type"] == "internal"}
        assert {a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"} <= internal
        eventually("its route is made", lambda: condition_of(one.node(name), "NetworkUnavailable") == "False")
    assert len({cloud.instance(n)["zone"] for n in ("one-control-plane", "one-worker", "one-worker2")}) == 3


def test_the_ccm_needs_nothing_of_coredns(one):
    one.kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=0")
    one.kubectl("-n", "kube-system", "delete", "pod", "-l", "app.kubernetes.io/name=mockcloud-ccm", "--wait")
    one.kubectl("-n", "kube-system", "rollout", "status", "deployment/mockcloud-ccm", "--timeout=120s")
    one.kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=1")


def test_kind_up_again_changes_nothing(one, cloud):
    before = {n["metadata"]["name"]: n["metadata"]["uid"] for n in one.get("nodes")["items"]}
    kind_up("one", "--workers", "2", "--cloud-routes")
    assert {n["metadata"]["name"]: n["metadata"]["uid"] for n in one.get("nodes")["items"]} == before
    assert run("scripts/kind-status", "--name", "one", "--server", "mockcloud-test").returncode == 0


# --- routes ---

def test_pods_of_different_nodes_reach_each_other_through_the_clouds_routes(echo, cloud):
    pods = echo_pods(echo)
    eventually("each worker's pod reaches the other's", lambda: reaches(pods, "one-worker", "one-worker2")
               and reaches(pods, "one-worker2", "one-worker"))
    # and by them alone: a kernel route is there for as long as the cloud has it
    route = next(r for r in cloud.client.get("/v1/routes")["items"]
                 if r["next_hop"].get("instance_id") == cloud.instance("one-worker2")["id"])
    routes = run("docker", "exec", "one-worker", "ip", "route").stdout
    assert route["destination_cidr"] in routes


# --- load balancers ---

def test_a_service_answers_http_from_the_host(front):
    assert http(front).split()[0] in ("one-worker", "one-worker2")


# --- metadata and notices ---

def test_a_node_is_told_apart_at_the_metadata_address(echo, cloud):
    for name in ("one-worker", "one-worker2"):
        assert fetch(name, "http://169.254.169.254/latest/meta-data/instance-id") == (200, cloud.instance(name)["id"])


def test_a_spot_notice_is_seen_from_inside_the_node(echo, cloud):
    cloud.cli("interrupt", "one-worker2", "--kind", "spot", "--notice", "1h")
    url = "http://169.254.169.254/latest/meta-data/spot/instance-action"
    code, body = fetch("one-worker2", url)
    assert code == 200 and '"terminate"' in body
    assert fetch("one-worker", url)[0] == 404
    cloud.client.delete(f"/sim/v1/instances/{cloud.instance('one-worker2')['id']}/interrupt")


# --- stop and start ---

def test_a_stopped_instance_is_a_stopped_node_and_comes_back(echo, cloud):
    pods = echo_pods(echo)
    cloud.cli("stop", "one-worker2")
    cloud.wait_state("one-worker2", "stopped")
    assert container_state("one-worker2") == "exited"
    eventually("the Node has the shutdown taint", lambda: SHUTDOWN in echo.taints("one-worker2"))
    eventually("its route is a blackhole and no kernel route leads there",
               lambda: pods["one-worker2"].rsplit(".", 1)[0] not in
               run("docker", "exec", "one-worker", "ip", "route", "show", "scope", "global", "via",
                   internal_address(cloud, "one-worker2")).stdout)
    cloud.cli("start", "one-worker2")
    cloud.wait_state("one-worker2", "running")
    eventually("the Node is Ready", lambda: echo.ready("one-worker2"))
    eventually("the shutdown taint is gone", lambda: SHUTDOWN not in echo.taints("one-worker2"))
    eventually("its pod is back and reached over the cloud's routes",
               lambda: reaches(echo_pods(echo), "one-worker", "one-worker2"))


def internal_address(cloud, name):
    return next(a["address"] for a in cloud.instance(name)["addresses"] if a["type"] == "internal" and "." in a["address"])


def test_a_container_that_is_stopped_by_hand_is_a_stopped_instance(echo, cloud):
    run("docker", "stop", "-t", "1", "one-worker2")
    stopped = cloud.wait_state("one-worker2", "stopped")
    assert stopped["state_reason"]["code"]
    run("docker", "start", "one-worker2")
    cloud.wait_state("one-worker2", "running")
    eventually("the Node is Ready", lambda: echo.ready("one-worker2"))


# --- join, terminate ---

def test_creating_an_instance_joins_a_node(echo, cloud):
    begun = time.monotonic()
    cloud.cli("instance", "create", "one-extra", "--backend", "docker", "--cluster", "one", "--zone", "mock-1b",
              "--tag", "mockcloud/cluster=one")
    eventually("the Node is Ready", lambda: echo.node("one-extra") and echo.ready("one-extra"))
    FIGURES["instance created to Node Ready"] = time.monotonic() - begun
    instance = cloud.wait_state("one-extra", "running")
    node = eventually("the Node is initialised", lambda: UNINITIALIZED not in echo.taints("one-extra") and echo.node("one-extra"))
    assert node["spec"]["providerID"] == f"mockcloud://mock-1b/{instance['id']}"


def test_kind_up_again_takes_joined_and_stopped_nodes_as_they_are(echo, cloud):
    cloud.cli("stop", "one-worker2")
    cloud.wait_state("one-worker2", "stopped")
    kind_up("one", "--workers", "2", "--cloud-routes")
    assert cloud.instance("one-worker2")["state"] == "stopped"
    assert cloud.instance("one-extra")["state"] == "running"
    cloud.cli("start", "one-worker2")
    cloud.wait_state("one-worker2", "running")
    eventually("the Node is Ready", lambda: echo.ready("one-worker2"))


def test_a_terminated_instance_takes_container_node_and_target_with_it_and_traffic_flows_on(echo, cloud, front):
    victim = cloud.instance("one-extra")["id"]
    eventually("the new node is a target", lambda: victim in targets(cloud))
    begun = time.monotonic()
    cloud.cli("terminate", "one-extra")
    eventually("the container is gone", lambda: container_state("one-extra") is None)
    # Until its Node is gone, kube-proxy on the others goes on sending some connections to the pod that went with it.
    answers = failures = 0
    while echo.node("one-extra"):
        assert time.monotonic() - begun < 180, "the Node is still there"
        try:
            http(front, timeout=10)
            answers += 1
        except (OSError, HTTPException):
            failures += 1
    FIGURES["terminate to Node gone"] = time.monotonic() - begun
    assert eventually("the target is gone", lambda: victim not in targets(cloud))
    assert answers > failures, f"the others went on answering: {answers} answers, {failures} failures"
    eventually("the others answer", lambda: http(front))


def targets(cloud):
    return {t.get("instance_id") for pool in cloud.client.get("/v1/target-pools")["items"] for t in pool["targets"]}


# --- the CCM dies ---

def test_a_ccm_killed_in_the_middle_is_replaced_and_finishes(echo, cloud):
    cloud.client.put("/sim/v1/latencies/load_balancer.provisioning", {"distribution": "fixed", "value": "20s"})
    try:
        echo.apply(service("second"))
        eventually("the load balancer is being made", lambda: any(
            lb["state"] == "provisioning" for lb in cloud.client.get("/v1/load-balancers")["items"]))
        echo.kubectl("-n", "kube-system", "delete", "pod", "-l", "app.kubernetes.io/name=mockcloud-ccm", "--force",
                     "--grace-period=0")
        eventually("the Service has its address",
                   lambda: echo.get("service", "second")["status"]["loadBalancer"]["ingress"][0]["ip"])
        assert len(cloud.client.get("/v1/load-balancers")["items"]) == 2
    finally:
        cloud.client.delete("/sim/v1/latencies/load_balancer.provisioning")
        echo.kubectl("delete", "service", "second", "--wait=false")
    eventually("the load balancer is gone", lambda: len(cloud.client.get("/v1/load-balancers")["items"]) == 1)


# --- two clusters ---

def test_two_clusters_on_one_cloud_do_not_see_each_other(echo, cloud):
    kind_up("two", "--workers", "0", "--cloud-routes", "--pod-subnet", "10.245.0.0/16")
    two = Cluster("two")
    assert two.node_names() == {"two-control-plane"}
    assert cloud.instance("two-control-plane")["state"] == "running"
    assert "two-control-plane" not in echo.node_names()
    eventually("both have their routes", lambda: {r["destination_cidr"].split(".")[1] for r in
                                                  cloud.client.get("/v1/routes")["items"]} == {"244", "245"})
    assert "10.245." not in run("docker", "exec", "one-worker", "ip", "route").stdout


def test_a_cluster_deleted_behind_our_back_leaves_terminated_instances(echo, cloud):
    run("kind", "delete", "cluster", "--name", "two")
    eventually("its instance is terminated", lambda: cloud.instance("two-control-plane")["state"] == "terminated")
    assert cloud.instance("one-worker")["state"] == "running"
    kind_down("two")


# --- the end ---

def test_kind_down_leaves_nothing(echo, cloud):
    kind_down("one")
    assert run("docker", "ps", "-a", "--filter", "label=io.x-k8s.kind.cluster=one", "-q").stdout == ""
    assert container_state("mockcloud-test") is None
