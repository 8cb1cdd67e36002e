"""CoreDNS as a pod: kubebox from the node under the pause image, so that there is no image to build."""

from pathlib import Path
from typing import Any

from cluster.components import PAUSE
from cluster.network import DNS

_NAMESPACE = "kube-system"
_COREFILE = """.:53 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa {
        fallthrough in-addr.arpa
    }
    cache 5
}
"""


def objects(box: Path) -> list[dict[str, Any]]:
    """Return what the cluster's DNS and kube-proxy need."""
    labels = {"k8s-app": "kube-dns"}
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": _NAMESPACE}
    rules = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    return [
        _namespaced("v1", "ServiceAccount", "coredns", {}),
        {**_named("rbac.authorization.k8s.io/v1", "ClusterRole", "coredns"), "rules": rules},
        _binding("coredns", "coredns", account),
        _binding("kube-proxy", "system:node-proxier", {"kind": "User", "name": "system:kube-proxy"}),
        _namespaced("v1", "ConfigMap", "coredns", {"data": {"Corefile": _COREFILE}}),
        _namespaced("apps/v1", "Deployment", "coredns", {"spec": _deployment(labels, box)}),
        _namespaced("v1", "Service", "kube-dns", {"spec": {"clusterIP": DNS, "selector": labels, "ports": ports}}),
    ]


def _deployment(labels: dict[str, str], box: Path) -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": PAUSE,
        "imagePullPolicy": "Never",
        "command": ["/kubebox", "coredns", "-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "corefile", "mountPath": "/etc/coredns"},
            {"name": "kubebox", "mountPath": "/kubebox", "readOnly": True},
        ],
    }
    volumes = [
        {"name": "corefile", "configMap": {"name": "coredns"}},
        {"name": "kubebox", "hostPath": {"path": str(box), "type": "File"}},
    ]
    pod = {"serviceAccountName": "coredns", "dnsPolicy": "Default", "containers": [container], "volumes": volumes}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}


def _binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    whole = {"apiGroup": group} if subject["kind"] == "User" else {}
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": role}
    return {
        **_named(f"{group}/v1", "ClusterRoleBinding", name),
        "roleRef": reference,
        "subjects": [{**whole, **subject}],
    }


def _named(version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _namespaced(version: str, kind: str, name: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": _NAMESPACE}, **more}
