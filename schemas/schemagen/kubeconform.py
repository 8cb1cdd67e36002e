"""Kubernetes' kinds as standalone JSON schemas, in the file layout that kubeconform reads without a network."""

from schemagen.bundle import DRAFT, localise
from schemagen.kube import KUBE_PREFIX, kube_definitions
from schemagen.outputs import as_json
from schemagen.sources import Schema

# kind → apiVersion of its one model in the package.
KINDS = {
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "ConfigMap": "v1",
    "CronJob": "batch/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "DaemonSet": "apps/v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Ingress": "networking.k8s.io/v1",
    "Job": "batch/v1",
    "Namespace": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolume": "v1",
    "PersistentVolumeClaim": "v1",
    "Pod": "v1",
    "PodDisruptionBudget": "policy/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "StatefulSet": "apps/v1",
}


def kube_schema(kind: str) -> Schema:
    """Return the standalone, closed draft-07 schema of one kind, such as Deployment.

    Raises KeyError for a kind that is not in KINDS.
    """
    root = KUBE_PREFIX + kind
    api_version = KINDS[kind]
    definitions = kube_definitions(root)
    schema = dict(definitions.pop(root))
    schema["properties"] = {
        **schema["properties"],
        "apiVersion": {"type": "string", "const": api_version},
        "kind": {"type": "string", "const": kind},
    }
    schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind", "metadata"})
    return {"$schema": DRAFT, **localise(schema), "definitions": localise(definitions)}


def kubeconform_files() -> dict[str, str]:
    """Return file name → content, such as `deployment-apps-v1.json`; of a group kubeconform takes the first label."""
    return {_file_name(kind, version): as_json(kube_schema(kind)) for kind, version in KINDS.items()}


def _file_name(kind: str, api_version: str) -> str:
    group, _, version = api_version.rpartition("/")
    return "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part) + ".json"
