"""Every kind of object the dpd chart may draw, and where the API server keeps it.

The chart's RBAC and the watches follow this table; a test holds it against what the chart really draws.
"""

from dataclasses import dataclass

from dpd_operator.core.objects import Ref


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object; `is_everywhere` when every cluster serves it, `is_namespaced` when it lives in a namespace."""

    group: str
    version: str
    plural: str
    kind: str
    is_everywhere: bool = True
    is_namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Group and version as objects write them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path under which the API server serves the group."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str) -> str:
        """Return the path of all objects of this kind in a namespace; in the whole cluster when that is empty."""
        place = f"/namespaces/{namespace}" if self.is_namespaced and namespace else ""
        return f"{self.root}{place}/{self.plural}"

    def path(self, namespace: str, name: str) -> str:
        """Return the path of one object."""
        place = f"/namespaces/{namespace}" if self.is_namespaced else ""
        return f"{self.root}{place}/{self.plural}/{name}"


DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
POD = Kind("", "v1", "pods", "Pod")
DRAWN = (
    DEPLOYMENT,
    Kind("apps", "v1", "daemonsets", "DaemonSet"),
    Kind("", "v1", "services", "Service"),
    Kind("", "v1", "configmaps", "ConfigMap"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount"),
    Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    Kind("", "v1", "persistentvolumes", "PersistentVolume", is_namespaced=False),
    Kind("batch", "v1", "cronjobs", "CronJob"),
    Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Kind("networking.k8s.io", "v1", "ingresses", "Ingress"),
    Kind("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    Kind("gateway.networking.k8s.io", "v1", "gateways", "Gateway", is_everywhere=False),
    Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", is_everywhere=False),
    Kind("cert-manager.io", "v1", "certificates", "Certificate", is_everywhere=False),
    Kind("cert-manager.io", "v1", "issuers", "Issuer", is_everywhere=False),
    Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", is_everywhere=False),
    Kind("keda.sh", "v1alpha1", "triggerauthentications", "TriggerAuthentication", is_everywhere=False),
    Kind("monitoring.coreos.com", "v1", "podmonitors", "PodMonitor", is_everywhere=False),
    Kind("monitoring.coreos.com", "v1", "prometheusrules", "PrometheusRule", is_everywhere=False),
)
_BY_NAME = {(each.api_version, each.kind): each for each in DRAWN}


def kind_of(ref: Ref) -> Kind | None:
    """Return the row of an object's kind, or None for a kind that is not in the table."""
    return _BY_NAME.get((ref.api_version, ref.kind))
