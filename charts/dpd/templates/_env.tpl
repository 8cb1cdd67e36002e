{{/*
The worker's environment. It is the same, word for word, on every role, but for where a KV cache is: what differs between
roles is in their arguments and their lmcache.yaml. $(NAME) is expanded by Kubernetes from what stands earlier in the list.
*/}}

{{/* Where the worker may write, and what nothing else needs to know about these folders. */}}
{{- define "dpd.env.metricsFolder" -}}
/run/engine-metrics
{{- end }}

{{/* JSON list of [name, value or valueFrom]. Takes {root, facts}. */}}
{{- define "dpd.env.implied" -}}
{{- $values := .root.Values -}}
{{- $pairs := list (list "PYTHONHASHSEED" "0") -}}
{{- if eq (include "dpd.transfer.lmcache" .root) "true" }}{{ $pairs = append $pairs (list "PD_BUFFER_SIZE" "8589934592") }}{{ end -}}
{{- if .facts.lmcache }}{{ $pairs = append $pairs (list "LMCACHE_CONFIG_FILE" (include "dpd.cache.configPath" .)) }}{{ end -}}
{{- $pairs = concat $pairs (include "dpd.transfer.env" .root | fromJsonArray) -}}
{{- $pairs = append $pairs (list "LMCACHE_TRACK_USAGE" "false") -}}
{{- $pairs = append $pairs (list "VLLM_HOST_IP" "$(POD_IP)") -}}
{{- $pairs = append $pairs (list "PROMETHEUS_MULTIPROC_DIR" (include "dpd.env.metricsFolder" .)) -}}
{{- $pairs = append $pairs (list "HOME" "/tmp") -}}
{{- $pairs = append $pairs (list "USER" "dpd") -}}
{{- if and $values.pdSpec (eq $values.transfer.fabric "efa") -}}
  {{- $pairs = append $pairs (list "FI_PROVIDER" "efa") -}}
  {{- $pairs = append $pairs (list "FI_EFA_USE_DEVICE_RDMA" "1") -}}
{{- end -}}
{{ toJson $pairs }}
{{- end }}

{{/* What a pod says of itself, before all else: JSON of name: field. */}}
{{- define "dpd.env.pod" -}}
{{ dict "POD_IP" "status.podIP" "POD_NAME" "metadata.name" | toJson }}
{{- end }}

{{/* What the chart adds to the manifest's variables: those of its own that the manifest does not set. As JSON, as above. */}}
{{- define "dpd.env.added" -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.env.added.list" "of" .facts.role "with" .) }}
{{- end }}

{{- define "dpd.env.added.list" -}}
{{- $taken := dict -}}
{{- range .root.Values.worker.environmentVariables }}{{ $_ := set $taken .name true }}{{ end -}}
{{- $added := list -}}
{{- range concat (include "dpd.env.implied" . | fromJsonArray) (include "dpd.model.env" .root | fromJsonArray) (include "dpd.cache.env" . | fromJsonArray) -}}
  {{- if not (hasKey $taken (first .)) }}{{ $added = append $added . }}{{ end -}}
{{- end -}}
{{ toJson $added }}
{{- end }}

{{/* All of them, in order: JSON list of EnvVar. */}}
{{- define "dpd.env.all" -}}
{{- $all := list -}}
{{- range $name, $field := include "dpd.env.pod" . | fromJson -}}
  {{- $all = append $all (dict "name" $name "valueFrom" (dict "fieldRef" (dict "fieldPath" $field))) -}}
{{- end -}}
{{- $all = concat $all (.root.Values.worker.environmentVariables | default list) -}}
{{- range include "dpd.env.added" . | fromJsonArray -}}
  {{- $all = append $all (dict "name" (first .) (ternary "value" "valueFrom" (kindIs "string" (last .))) (last .)) -}}
{{- end -}}
{{ toJson $all }}
{{- end }}

{{/* The same as YAML, as it stands in the pod and counts for the revision: the text must stay as it is. */}}
{{- define "dpd.env" -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.env.list" "of" .facts.role "with" .) | trim }}
{{- end }}

{{/* The manifest's own, as it writes them: the same for every role. Takes the list. */}}
{{- define "dpd.env.given" -}}
{{ toYaml . }}
{{- end }}

{{- define "dpd.env.list" -}}
{{- range $name, $field := include "dpd.env.pod" . | fromJson }}
- name: {{ $name }}
  valueFrom: {fieldRef: {fieldPath: {{ $field }}}}
{{- end }}
{{- with .root.Values.worker.environmentVariables }}
{{ include "dpd.once" (dict "root" $.root "helper" "dpd.env.given" "with" .) }}
{{- end }}
{{- range include "dpd.env.added" . | fromJsonArray }}
- name: {{ first . }}
  {{- if kindIs "string" (last .) }}
  value: {{ last . | quote }}
  {{- else }}
  valueFrom: {{- toYaml (last .) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
