{{/* Metrics: whether they are on, their labels, and the collector beside every worker and router. */}}

{{/* On unless the manifest says off: an absent `metrics` leaves them on. */}}
{{- define "dpd.metrics.enabled" -}}
{{- if ne (get (.Values.metrics | default dict) "enabled" | toString) "false" }}true{{ end -}}
{{- end }}

{{/* Labels whose value is known when the chart renders, as JSON. Takes {root, facts}. */}}
{{- define "dpd.metrics.labels" -}}
{{- $labels := dict
  "resource_name" (include "dpd.name" .root)
  "resource_type" "inference-endpoint"
  "namespace" (include "dpd.namespace" .root)
  "model_name" .root.Values.modelName
  "model_version" (.root.Values.modelVersion | default "")
  "instance_type" (.root.Values.instanceType | default "")
  "dpd_role" (ternary "" .facts.role (eq .facts.role "worker")) -}}
{{- range $name, $value := .root.Values.monitoring.labels }}{{ if $value }}{{ $_ := set $labels $name $value }}{{ end }}{{ end -}}
{{ toJson $labels }}
{{- end }}

{{/* Takes {root, env, envFrom}. */}}
{{- define "dpd.container.collector" -}}
name: otel-collector
image: {{ include "dpd.image" (dict "image" .root.Values.collector.image) | quote }}
imagePullPolicy: {{ .root.Values.collector.image.pullPolicy }}
args: [--config=/etc/otel/config.yaml]
ports:
  - {name: otel-metrics, containerPort: 9464}
env: {{ toJson .env }}
{{- with .envFrom }}
envFrom: {{ toJson . }}
{{- end }}
resources: {{ toJson (.root.Values.metricsCollectorResources | default .root.Values.collector.resources) }}
# No readiness: a collector that does not work takes nobody out of service.
livenessProbe:
  httpGet: {path: /, port: 13133}
  periodSeconds: 10
  failureThreshold: 6
securityContext:
  {{- include "dpd.security" (dict "own" .root.Values.podSecurity.sidecars) | nindent 2 }}
volumeMounts:
  - {name: collector-config, mountPath: /etc/otel, readOnly: true}
{{- end }}
