{{/*
Who may reach what. Only what comes in is ruled; the kubelet's probes come from the node and are never held back. EFA traffic
does not pass the node's IP stack, so these rules do not see it.
*/}}

{{/* Takes the workload it names → one peer: those pods in their namespace, whichever that is. */}}
{{- define "dpd.network.peer" -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}}
podSelector:
  matchLabels: {{ toJson .selector }}
{{- end }}

{{/* Takes {root, role, workloads} → YAML list of ingress rules. */}}
{{- define "dpd.network.ingress" -}}
{{- if eq .role "router" }}
{{- include "dpd.network.router" . }}
{{- else }}
{{- include "dpd.network.worker" . }}
{{- end }}
- ports: {{ include "dpd.network.metrics" . }}
  {{- with .root.Values.networkPolicy.metricsFrom }}
  from: {{ toJson . }}
  {{- end }}
{{- end }}

{{/* Ports that only tell. */}}
{{- define "dpd.network.metrics" -}}
{{- $ports := list -}}
{{- $ports = append $ports (dict "port" (ternary 9090 9113 (eq .role "router")) "protocol" "TCP") -}}
{{- if eq (include "dpd.metrics.enabled" .root) "true" }}{{ $ports = append $ports (dict "port" 9464 "protocol" "TCP") }}{{ end -}}
{{ toJson $ports }}
{{- end }}

{{/* Clients reach the router; where it hears of transfers, prefillers alone. */}}
{{- define "dpd.network.router" -}}
- ports:
    - {port: 8080, protocol: TCP}
{{- if eq (include "dpd.transfer.lmcache" .root) "true" }}
- ports:
    - {port: {{ int .root.Values.transfer.notifyPort }}, protocol: TCP}
  from:
    - {{- include "dpd.network.peer" .workloads.prefill | nindent 6 }}
{{- end }}
{{- end }}

{{/*
The proxy of a worker answers the router, or everyone when there is none. Between the roles every port is open: LMCache's
have numbers of their own, and those of UCX are picked as it connects.
*/}}
{{- define "dpd.network.worker" -}}
- ports:
    - {port: 8081, protocol: TCP}
  {{- with .workloads.router }}
  from:
    - {{- include "dpd.network.peer" . | nindent 6 }}
  {{- end }}
{{- include "dpd.routing.network" . }}
{{- $other := get (dict "prefill" "decode" "decode" "prefill") .role }}
{{- if $other }}
- from:
    - {{- include "dpd.network.peer" (get .workloads $other) | nindent 6 }}
{{- end }}
{{- end }}
