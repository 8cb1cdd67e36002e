{{/* What the controller may do, each right once. Everything else it may not. */}}

{{/* In every namespace of an endpoint or a router: the kinds the dpd chart draws, and no other. */}}
{{- define "dpd-operator.rights.endpoints" -}}
- apiGroups: [inference.sagemaker.aws.amazon.com]
  resources: [inferenceendpointconfigs]
  verbs: [get, list, watch, patch]
- apiGroups: [inference.sagemaker.aws.amazon.com]
  resources: [inferenceendpointconfigs/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [daemonsets, deployments]
  verbs: &all [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, serviceaccounts, services]
  verbs: *all
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: *all
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: *all
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: *all
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, httproutes]
  verbs: *all
- apiGroups: [cert-manager.io]
  resources: [certificates, issuers]
  verbs: *all
# The router's role, which grants it to see pods: a right may be granted only by who has it, and we have it below.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings, roles]
  verbs: *all
- apiGroups: [keda.sh]
  resources: [scaledobjects, triggerauthentications]
  verbs: *all
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules]
  verbs: *all
# Why a pod is not ready.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Of the cluster itself. */}}
{{- define "dpd-operator.rights.cluster" -}}
- apiGroups: [""]
  resources: [persistentvolumes]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}

{{/* In the controller's own namespace: Helm's records of releases, and the lease. */}}
{{- define "dpd-operator.rights.own" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, create, update, delete]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end }}
