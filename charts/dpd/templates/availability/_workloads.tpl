{{/* What runs: the workloads this release has, for what is drawn once for each. */}}

{{/* YAML of role: {name, namespace, selector}. */}}
{{- define "dpd.workloads" -}}
{{- range $role := ternary (list "prefill" "decode") (list "worker") (not (empty .Values.pdSpec)) }}
{{ $role }}:
  name: {{ include "dpd.workload.name" (dict "root" $ "role" $role) }}
  namespace: {{ include "dpd.namespace" $ }}
  selector:
    {{- include "dpd.selector" (dict "root" $ "component" $role) | nindent 4 }}
{{- end }}
{{- if eq (include "dpd.router.enabled" .) "true" }}
router:
  name: {{ include "dpd.router.name" . }}
  namespace: {{ .Values.router.namespace }}
  selector:
    {{- include "dpd.selector" (dict "root" . "component" "router") | nindent 4 }}
{{- end }}
{{- end }}

{{/*
How workers are replaced. Without a surge one of them leaves before its successor comes: a spare node full of GPUs is
rarely there. With one, the successor serves first. Takes {root, role}.
*/}}
{{- define "dpd.rollout" -}}
{{- $surge := int (get .root.Values.rollout.surge .role) -}}
type: RollingUpdate
rollingUpdate: {maxSurge: {{ $surge }}, maxUnavailable: {{ ternary 1 0 (eq $surge 0) }}}
{{- end }}

{{/* The service account of workers: the manifest's, else the chart's own, which may do nothing; else the namespace's. */}}
{{- define "dpd.workers.account" -}}
{{- $given := (.Values.kubernetes | default dict).serviceAccountName -}}
{{- if $given -}}
{{ $given }}
{{- else if .Values.serviceAccount.create -}}
{{ include "dpd.name" . }}-worker
{{- end -}}
{{- end }}
