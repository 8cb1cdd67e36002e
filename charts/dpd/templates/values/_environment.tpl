{{/* The worker's environment: checks, and what is legal and unwise. Take the root. */}}

{{/* Names that would overrule, on both roles at once, what each role's own lmcache.yaml says. */}}
{{- define "dpd.check.environment.perRole" -}}
LMCACHE_CONFIG_FILE LMCACHE_ENABLE_PD LMCACHE_PD_ROLE LMCACHE_PD_PEER_INIT_PORT LMCACHE_PD_PEER_ALLOC_PORT LMCACHE_PD_PROXY_HOST LMCACHE_PD_PROXY_PORT LMCACHE_LOCAL_CPU LMCACHE_REMOTE_URL LMCACHE_STORE_LOCATION LMCACHE_STORAGE_PLUGINS LMCACHE_EXTRA_CONFIG
{{- end }}

{{- define "dpd.check.environment" -}}
{{- $seen := dict -}}
{{- $perRole := ternary (include "dpd.check.environment.perRole" . | splitList " ") list (not (empty .Values.pdSpec)) -}}
{{- range $index, $variable := .Values.worker.environmentVariables -}}
{{- $path := printf "worker.environmentVariables[%d].name" $index -}}
{{- if hasKey $seen .name }}
{{ $path }}: {{ .name }} is set twice, first in [{{ get $seen .name }}]; keep one of them
{{- else -}}
{{- $_ := set $seen .name $index -}}
{{- end -}}
{{- include "dpd.check.environment.name" (dict "name" .name "path" $path) -}}
{{- if has .name (list "POD_IP" "POD_NAME") }}
{{ $path }}: {{ .name }} is set by the chart; remove it
{{- else if has .name $perRole }}
{{ $path }}: {{ .name }} would be the same on both roles, and each has its own in its lmcache.yaml; remove it
{{- end -}}
{{- if and (eq .name "PD_BUFFER_SIZE") (not .valueFrom) (not (regexMatch "^[0-9]+$" (.value | default "" | toString))) }}
worker.environmentVariables[{{ $index }}].value: {{ .value | default "" | quote }} is no number of bytes; write it out, such as "8589934592"
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes {name, path}. */}}
{{- define "dpd.check.environment.name" -}}
{{- if not (regexMatch "^[ -<>-~]+$" .name) }}
{{ .path }}: {{ .name | quote }} cannot name a variable, for Kubernetes takes printable ASCII characters without =; rename it
{{- end -}}
{{- end }}

{{/* Variables whose name calls their value a secret, and that hold it in the open. A switch is none, $(NAME) is another's value. */}}
{{- define "dpd.notes.secrets" -}}
{{- $lists := list (list "worker.environmentVariables" .Values.worker.environmentVariables) -}}
{{- range $index, $container := (.Values.kubernetes | default dict).initContainers -}}
{{- $lists = append $lists (list (printf "kubernetes.initContainers[%d].env" $index) .env) -}}
{{- end -}}
{{- range $list := $lists -}}
{{- range $index, $variable := last $list -}}
{{- $held := .value | default "" | toString -}}
{{- if and (regexMatch "(?i)(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)$" .name) (not .valueFrom) (not (regexMatch "(?i)^(0|1|true|false|yes|no|on|off|[$][(].*[)])?$" $held)) }}
  {{ first $list }}[{{ $index }}].value: {{ .name }} looks like a secret, and stands as plain text in these values and in every pod; put it into a Secret, and take it from there with valueFrom.secretKeyRef
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
