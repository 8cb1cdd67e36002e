{{/* Every name this chart gives, once. What is not named here has no name of its own. */}}

{{- define "dpd.name" -}}
{{ .Values.nameOverride | default .Release.Name }}
{{- end }}

{{- define "dpd.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{/* The router may serve from a namespace that holds many endpoints' routers: its names carry the endpoint's namespace. */}}
{{- define "dpd.name.qualified" -}}
{{ include "dpd.name" . }}-{{ include "dpd.namespace" . }}
{{- end }}

{{- define "dpd.router.name" -}}
{{ include "dpd.name.qualified" . }}-router
{{- end }}

{{- define "dpd.router.collector" -}}
{{ include "dpd.router.name" . }}-otel
{{- end }}

{{- define "dpd.router.service" -}}
{{ include "dpd.name.qualified" . }}-routing-service
{{- end }}

{{- define "dpd.router.host" -}}
{{ include "dpd.router.service" . }}.{{ .Values.router.namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- define "dpd.proxy.config" -}}
{{ include "dpd.name" . }}-proxy
{{- end }}

{{- define "dpd.collector.config" -}}
{{ include "dpd.name" . }}-otel
{{- end }}

{{/* A volume's source can never change: another source is another volume, and pods roll from one to the other. */}}
{{- define "dpd.model.claim" -}}
{{ include "dpd.name" . }}-model-{{ omit .Values.modelSourceConfig "prefetchEnabled" | toJson | sha256sum | trunc 8 }}
{{- end }}

{{/* PersistentVolumes belong to the cluster: the namespace leads, so that two endpoints of one name never share one. */}}
{{- define "dpd.model.volume" -}}
{{ include "dpd.namespace" . }}-{{ include "dpd.model.claim" . }}
{{- end }}

{{- define "dpd.model.scripts" -}}
{{ include "dpd.name" . }}-model-fetcher
{{- end }}

{{- define "dpd.worker.checks" -}}
{{ include "dpd.name" . }}-worker-checks
{{- end }}

{{- define "dpd.capture.scripts" -}}
{{ include "dpd.name" . }}-s3-uploader
{{- end }}

{{/* One role's workload (Deployment, container, Service) and its LMCache ConfigMap. Takes {root, role}. */}}
{{- define "dpd.workload.name" -}}
{{ if ne .role "worker" }}{{ .role }}-{{ end }}{{ include "dpd.name" .root }}
{{- end }}

{{- define "dpd.workload.host" -}}
{{ include "dpd.workload.name" . }}.{{ include "dpd.namespace" .root }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{- define "dpd.lmcache.config" -}}
{{ include "dpd.workload.name" . }}-lmcache
{{- end }}

{{/* What a Deployment or Service selects pods by; it can never change. Takes {root, component}. */}}
{{- define "dpd.selector" -}}
app: {{ if eq .component "router" }}{{ include "dpd.router.name" .root | quote }}{{ else }}{{ include "dpd.name" .root | quote }}{{ end }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{/* Labels of a pod: nothing that changes with a chart release, or every upgrade would reload the models. */}}
{{- define "dpd.labels.pod" -}}
{{ include "dpd.selector" . }}
app.kubernetes.io/name: dpd
app.kubernetes.io/instance: {{ include "dpd.name" .root | quote }}
deploying-service: hyperpod-inference
{{- if has .component (list "prefill" "decode") }}
inference.sagemaker.aws.amazon.com/dpd-role: {{ .component }}
{{- end }}
{{- end }}

{{- define "dpd.labels" -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.labels.text" "of" .component "with" .) }}
{{- end }}

{{- define "dpd.labels.text" -}}
{{ include "dpd.labels.pod" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | quote }}
{{ include "dpd.tags.labels" . }}
{{- end }}

{{/* repository:tag, or repository@digest when one is given. Takes {image, tag}. */}}
{{- define "dpd.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end }}
{{- end }}
