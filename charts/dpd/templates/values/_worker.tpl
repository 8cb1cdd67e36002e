{{/* Checks of what every worker shares: ports, environment, volumes, model source, nodes. */}}

{{- define "dpd.check.worker" -}}
{{- $port := .Values.worker.modelInvocationPort -}}
{{- $taken := dict "8081" "the reverse proxy" "9113" "the reverse proxy's metrics" "9464" "the collector" "13133" "the collector's health check" -}}
{{- with get $taken (int $port.containerPort | toString) }}
worker.modelInvocationPort.containerPort: {{ int $port.containerPort }} is taken in this pod by {{ . }}; use another port, and --port in worker.args with it
{{- end -}}
{{- if eq ($port.name | default "http") "grpc" }}
worker.modelInvocationPort.name: grpc, and the proxy and the router speak HTTP only; use http
{{- end -}}
{{- $given := include "dpd.args.value" (dict "args" (.Values.worker.args | default list) "key" "port") -}}
{{- if and $given (ne $given (int $port.containerPort | toString)) }}
worker.args: --port is {{ $given }} and worker.modelInvocationPort.containerPort is {{ int $port.containerPort }}; make them the same
{{- end -}}
{{- end }}

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

{{- define "dpd.check.volumes" -}}
{{- $reserved := include "dpd.volumes.reserved" . | fromYamlArray -}}
{{- $model := .Values.worker.modelVolumeMount.name -}}
{{- $drawn := ne .Values.modelSourceConfig.modelSourceType "kubernetesVolume" -}}
{{- $seen := dict -}}
{{- if has $model $reserved }}
worker.modelVolumeMount.name: {{ $model }} is a volume of the chart's own; use another name
{{- end -}}
{{- range $index, $volume := (.Values.kubernetes | default dict).volumes -}}
{{- $path := printf "kubernetes.volumes[%d].name" $index -}}
{{- if or (has .name $reserved) (and $drawn (eq .name $model)) }}
{{ $path }}: {{ .name }} is a volume of the chart's own; use another name
{{- else if hasKey $seen .name }}
{{ $path }}: {{ .name }} is given twice, first in [{{ get $seen .name }}]; keep one of them
{{- end -}}
{{- $_ := set $seen .name $index -}}
{{- end -}}
{{- if and (not $drawn) (not (hasKey $seen $model)) }}
worker.modelVolumeMount.name: {{ $model }} is none of kubernetes.volumes, and modelSourceType is kubernetesVolume; add a volume of that name there
{{- end -}}
{{- end }}

{{- define "dpd.check.source" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $section := get (dict "s3" "s3Storage" "fsx" "fsxStorage" "huggingface" "huggingFaceModel") $source.modelSourceType -}}
{{- if and $section (not (get $source $section)) }}
modelSourceConfig.{{ $section }}: absent, and modelSourceType is {{ $source.modelSourceType }}; add it
{{- else if and (eq $source.modelSourceType "fsx") (not $source.fsxStorage.dnsName) }}
modelSourceConfig.fsxStorage.dnsName: absent, and a chart cannot ask FSx for it; set it to what `aws fsx describe-file-systems` says
{{- end -}}
{{- end }}

{{- define "dpd.check.scheduling" -}}
{{- $given := list -}}
{{- range list "instanceType" "instanceTypes" "nodeAffinity" }}{{ if get $.Values . }}{{ $given = append $given . }}{{ end }}{{ end -}}
{{- if gt (len $given) 1 }}
{{ last $given }}: given together with {{ initial $given | join " and " }}; keep one of them
{{- end -}}
{{- end }}
