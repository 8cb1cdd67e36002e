{{/* The reverse proxy and the collector beside every worker. */}}

{{/* On unless the manifest says off: an absent `metrics` leaves them on. */}}
{{- define "dpd.metrics.enabled" -}}
{{- if ne (get (.Values.metrics | default dict) "enabled" | toString) "false" }}true{{ end -}}
{{- end }}

{{/* The proxy's files: nginx.conf is a template, the Lua beside it is not. */}}
{{- define "dpd.proxy.files" -}}
nginx.conf: |
  {{- tpl (.Files.Get "files/proxy/nginx.conf") . | trim | nindent 2 }}
metrics.lua: |
  {{- .Files.Get "files/proxy/metrics.lua" | trim | nindent 2 }}
{{- end }}

{{/* Takes {root, facts}. */}}
{{- define "dpd.container.proxy" -}}
name: sidecar-reverse-proxy
image: {{ include "dpd.image" (dict "image" .root.Values.proxy.image) | quote }}
imagePullPolicy: {{ .root.Values.proxy.image.pullPolicy }}
command: [openresty, -e, stderr, -p, /tmp, -c, /etc/dpd-proxy/nginx.conf]
ports:
  - {name: proxy, containerPort: 8081}
  - {name: proxy-metrics, containerPort: 9113}
env:
  {{- include "dpd.proxy.env" . | nindent 2 }}
resources:
  {{- toYaml (.root.Values.metricsSidecarResources | default .root.Values.proxy.resources) | nindent 2 }}
# Its own health only: whether the engine behind it answers is the engine's probes' business.
readinessProbe:
  httpGet: {path: /healthz, port: proxy-metrics}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: proxy-metrics}
  periodSeconds: 10
  failureThreshold: 6
lifecycle:
  {{- include "dpd.lifecycle" .root | nindent 2 }}
securityContext:
  {{- include "dpd.security" (dict "own" .root.Values.podSecurity.sidecars) | nindent 2 }}
volumeMounts:
  - {name: proxy-config, mountPath: /etc/dpd-proxy, readOnly: true}
  - {name: proxy-tmp, mountPath: /tmp}
{{- end }}

{{/* The labels of the proxy's metrics; an empty one is left out there. */}}
{{- define "dpd.proxy.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: INVOCATION_PATH
  value: {{ include "dpd.router.invocationPath" .root | quote }}
{{- $fixed := include "dpd.metrics.labels" . | fromYaml }}
{{- range $name := keys $fixed | sortAlpha }}
- name: METRIC_LABEL_{{ upper $name }}
  value: {{ get $fixed $name | quote }}
{{- end }}
{{- end }}

{{/* Labels whose value is known when the chart renders. Takes {root, facts}. */}}
{{- define "dpd.metrics.labels" -}}
{{- $labels := dict
  "resource_name" (include "dpd.name" .root)
  "resource_type" "inference-endpoint"
  "namespace" (include "dpd.namespace" .root)
  "model_name" .root.Values.modelName
  "model_version" (.root.Values.modelVersion | default "")
  "instance_type" (.root.Values.instanceType | default "")
  "dpd_role" (ternary "" .facts.role (eq .facts.role "worker")) -}}
{{ toYaml $labels }}
{{- end }}

{{/* Takes {root, env}. */}}
{{- define "dpd.container.collector" -}}
name: otel-collector
image: {{ include "dpd.image" (dict "image" .root.Values.collector.image) | quote }}
imagePullPolicy: {{ .root.Values.collector.image.pullPolicy }}
args: [--config=/etc/otel/config.yaml]
ports:
  - {name: otel-metrics, containerPort: 9464}
env:
  {{- toYaml .env | nindent 2 }}
resources:
  {{- toYaml (.root.Values.metricsCollectorResources | default .root.Values.collector.resources) | nindent 2 }}
readinessProbe:
  httpGet: {path: /, port: 13133}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /, port: 13133}
  periodSeconds: 10
  failureThreshold: 6
securityContext:
  {{- include "dpd.security" (dict "own" .root.Values.podSecurity.sidecars) | nindent 2 }}
volumeMounts:
  - {name: collector-config, mountPath: /etc/otel, readOnly: true}
{{- end }}
