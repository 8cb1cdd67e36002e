"""What each part of the live cluster is told: arguments and configuration files, as data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.network import API, BRIDGE, DNS, NODE, PODS, SERVICES

NAME = "node-1"
PAUSE = "localhost/dpd-pause:1"
URL = f"https://{NODE}:6443"
_STORE = "http://127.0.0.1:2379"
_PEERS = "http://127.0.0.1:2380"
# A new cluster's controllers have much to do at once.
_QUICK = ["--leader-elect=false", "--profiling=false", "--kube-api-qps=300", "--kube-api-burst=600"]


def kubeconfig(keys: Path, holder: str) -> dict[str, Any]:
    """Return the kubeconfig of one of the certificates' holders."""
    user = {"client-certificate": str(keys / f"{holder}.crt"), "client-key": str(keys / f"{holder}.key")}
    cluster = {"server": URL, "certificate-authority": str(keys / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "live",
        "clusters": [{"name": "live", "cluster": cluster}],
        "users": [{"name": holder, "user": user}],
        "contexts": [{"name": "live", "context": {"cluster": "live", "user": holder}}],
    }


def etcd(folder: Path) -> list[str]:
    """Return the store's arguments; its data lie in memory."""
    return [
        f"--data-dir={folder}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={_STORE}",
        f"--advertise-client-urls={_STORE}",
        f"--listen-peer-urls={_PEERS}",
        f"--initial-advertise-peer-urls={_PEERS}",
        f"--initial-cluster=default={_PEERS}",
        "--log-level=warn",
    ]


def api_server(keys: Path) -> list[str]:
    """Return the API server's arguments."""
    return [
        f"--etcd-servers={_STORE}",
        f"--bind-address={NODE}",
        f"--advertise-address={NODE}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICES}",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--tls-cert-file={keys / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={keys / 'kube-apiserver.key'}",
        f"--kubelet-client-certificate={keys / 'admin.crt'}",
        f"--kubelet-client-key={keys / 'admin.key'}",
        f"--kubelet-certificate-authority={keys / 'ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={keys / 'service-account.pub'}",
        f"--service-account-signing-key-file={keys / 'service-account.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def controllers(keys: Path, configuration: Path) -> list[str]:
    """Return the controller manager's arguments."""
    return [
        f"--kubeconfig={configuration}",
        "--bind-address=127.0.0.1",
        f"--cluster-cidr={PODS}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allocate-node-cidrs=false",
        f"--root-ca-file={keys / 'ca.crt'}",
        f"--service-account-private-key-file={keys / 'service-account.key'}",
        f"--cluster-signing-cert-file={keys / 'ca.crt'}",
        f"--cluster-signing-key-file={keys / 'ca.key'}",
        "--use-service-account-credentials=true",
        *_QUICK,
    ]


def scheduler(configuration: Path) -> list[str]:
    """Return the scheduler's arguments."""
    return [f"--kubeconfig={configuration}", "--bind-address=127.0.0.1", *_QUICK]


def kubelet(folder: Path, keys: Path, socket: Path) -> dict[str, Any]:
    """Return the kubelet's configuration: no systemd, and a kernel that still counts with cgroup v1."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE,
        "healthzBindAddress": "127.0.0.1",
        "containerRuntimeEndpoint": f"unix://{socket}",
        "cgroupDriver": "cgroupfs",
        "makeIPTablesUtilChains": False,
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(folder / "resolv.conf"),
        "tlsCertFile": str(keys / "kubelet.crt"),
        "tlsPrivateKeyFile": str(keys / "kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "serializeImagePulls": False,
        # Images are imported, not pulled: one that is collected is gone for good.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "nodeStatusUpdateFrequency": "5s",
        "volumePluginDir": str(folder / "plugins"),
    }


def kube_proxy(configuration: Path) -> dict[str, Any]:
    """Return kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(configuration)},
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
        "bindAddress": NODE,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": [PODS],
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def bridge_plugin(folder: Path) -> dict[str, Any]:
    """Return the container network: every pod on the bridge."""
    addresses = {"subnet": PODS, "rangeStart": "10.88.0.10", "gateway": NODE}
    ipam = {"type": "host-local", "dataDir": str(folder / "addresses"), "ranges": [[addresses]]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False, "hairpinMode": True}
    plugins = [{**bridge, "ipam": {**ipam, "routes": [{"dst": "0.0.0.0/0"}]}}]
    return {"cniVersion": "0.4.0", "name": "dpd", "plugins": plugins}


def containerd(folder: Path, state: Path, plugins: Path) -> Mapping[str, Any]:
    """Return containerd's configuration, as TOML's tables."""
    cri = "io.containerd.grpc.v1.cri"
    unused = ["io.containerd.internal.v1.opt", *(f"io.containerd.snapshotter.v1.{each}" for each in ("btrfs", "zfs"))]
    runc = {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": False}}
    return {
        "version": 2,
        "root": str(folder / "containerd"),
        "state": str(state),
        "disabled_plugins": [*unused, "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"],
        "grpc": {"address": str(state / "containerd.sock")},
        "ttrpc": {"address": str(state / "containerd.ttrpc")},
        "plugins": {
            cri: {
                "sandbox_image": PAUSE,
                # Scores below our own take a right that containers of ours do not have.
                "restrict_oom_score_adj": True,
                "disable_apparmor": True,
                "tolerate_missing_hugetlb_controller": True,
                "containerd": {"snapshotter": "overlayfs", "default_runtime_name": "runc", "runtimes": {"runc": runc}},
                "cni": {"bin_dir": str(plugins), "conf_dir": str(folder / "cni")},
            }
        },
    }


CERTIFIED = [NODE, "127.0.0.1", API]
