{{/*
What clients outside the cluster come through, and what it leads to. It stands in the namespace of the Service behind it, for
neither an Ingress nor a route reaches into another one without being let.
*/}}

{{/*
alb, ingress, gateway or none. By default a manifest that says something of its load balancer, certificates or DNS gets what
HyperPod would make of it; one that does not is reached inside the cluster only: opening it is for somebody to ask.
Without the AWS Load Balancer Controller nothing acts on its Ingress, and nothing fails.
*/}}
{{- define "dpd.edge.kind" -}}
{{- if ne .Values.edge.kind "auto" -}}
{{ .Values.edge.kind }}
{{- else if or .Values.loadBalancer .Values.tlsConfig .Values.dnsConfig (include "dpd.capture.balancer" .) -}}
alb
{{- else -}}
none
{{- end -}}
{{- end }}

{{- define "dpd.edge.name" -}}
{{ ternary "alb-" "" (eq (include "dpd.edge.kind" .) "alb") }}{{ ternary (include "dpd.name.qualified" .) (include "dpd.name" .) (eq (include "dpd.router.enabled" .) "true") }}
{{- end }}

{{- define "dpd.edge.namespace" -}}
{{ ternary .Values.router.namespace (include "dpd.namespace" .) (eq (include "dpd.router.enabled" .) "true") }}
{{- end }}

{{/* The Service behind it: the router's, or the workers' when there is no router. */}}
{{- define "dpd.edge.service" -}}
{{- if eq (include "dpd.router.enabled" .) "true" -}}
{{ include "dpd.router.service" . }}
{{- else -}}
{{ include "dpd.workload.name" (dict "root" . "role" "worker") }}
{{- end -}}
{{- end }}

{{/*
Its port. Not the router's 443, where the documented clients send plain HTTP: some controllers take a port of that number for
TLS.
*/}}
{{- define "dpd.edge.port" -}}
{{ ternary 80 8081 (eq (include "dpd.router.enabled" .) "true") }}
{{- end }}

{{/* The host name that clients use; empty, any. */}}
{{- define "dpd.edge.host" -}}
{{ .Values.edge.host | default (((.Values.tlsConfig | default dict).customCertificateConfig | default dict).domainName) | default "" }}
{{- end }}

{{- define "dpd.edge.component" -}}
{{ ternary "router" "worker" (eq (include "dpd.router.enabled" .) "true") }}
{{- end }}

{{/* The router answers health checks at these two paths only, whichever the engines are asked at. */}}
{{- define "dpd.edge.healthPath" -}}
{{- $path := include "dpd.healthPath" . -}}
{{ ternary "/ping" $path (and (eq (include "dpd.router.enabled" .) "true") (not (has $path (list "/ping" "/health")))) }}
{{- end }}

{{/* Whether the router takes nothing but TLS from whoever stands before it. */}}
{{- define "dpd.edge.backendTls" -}}
{{- if and (eq (include "dpd.router.enabled" .) "true") (eq (dig "tls" "mode" "" .Values.router) "strict") }}true{{ end -}}
{{- end }}

{{/*
Seconds for which an idle connection is kept for whoever stands before: longer than a load balancer keeps it, or it sends a request
into a connection that has just been closed, and its client gets 502.
*/}}
{{- define "dpd.edge.keepAlive" -}}
{{ max 75 (add 15 (int ((.Values.loadBalancer | default dict).idleTimeoutSeconds | default 60))) }}
{{- end }}

{{/* Metadata of an edge's object. Takes {root, own: the annotations of its kind}; edge.annotations win over all others. */}}
{{- define "dpd.edge.metadata" -}}
name: {{ include "dpd.edge.name" .root }}
namespace: {{ include "dpd.edge.namespace" .root }}
labels:
  {{- include "dpd.labels" (dict "root" .root "component" (include "dpd.edge.component" .root)) | nindent 2 }}
{{- $annotations := mergeOverwrite (.own | default dict) (include "dpd.dns.annotations" .root | fromJson) (deepCopy (.root.Values.edge.annotations | default dict)) }}
{{- with $annotations }}
annotations: {{ toJson . }}
{{- end }}
{{- end }}
