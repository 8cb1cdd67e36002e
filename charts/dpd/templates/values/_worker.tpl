{{/* Checks of what every worker shares: image, ports, volumes, nodes. Its environment and its mount have files of their own. */}}

{{- define "dpd.check.worker" -}}
{{- if not (regexMatch "^[^[:space:]]+$" .Values.worker.image) }}
worker.image: {{ .Values.worker.image | quote }} is no name of an image, for it is empty or has white space in it; write the image's name alone
{{- end -}}
{{- $port := .Values.worker.modelInvocationPort -}}
{{- $taken := dict "8081" "the reverse proxy" "9113" "the reverse proxy's metrics" "9464" "the collector" "13133" "the collector's health check" -}}
{{- with get $taken (int $port.containerPort | toString) }}
worker.modelInvocationPort.containerPort: {{ int $port.containerPort }} is taken in this pod by {{ . }}; use another port, and --port in worker.args with it
{{- end -}}
{{- if eq ($port.name | default "http") "grpc" }}
worker.modelInvocationPort.name: grpc, and the proxy and the router speak HTTP only; use http
{{- end -}}
{{- $given := get (include "dpd.worker.flags" . | fromJson) "port" -}}
{{- if and $given (ne $given (int $port.containerPort | toString)) }}
worker.args: --port is {{ $given }} and worker.modelInvocationPort.containerPort is {{ int $port.containerPort }}; make them the same
{{- end -}}
{{- end }}

{{- define "dpd.check.volumes" -}}
{{- $reserved := include "dpd.volumes.reserved" . | fromJsonArray -}}
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

{{- define "dpd.check.scheduling" -}}
{{- $given := list -}}
{{- range list "instanceType" "instanceTypes" "nodeAffinity" }}{{ if get $.Values . }}{{ $given = append $given . }}{{ end }}{{ end -}}
{{- if gt (len $given) 1 }}
{{ last $given }}: given together with {{ initial $given | join " and " }}; keep one of them
{{- end -}}
{{- end }}
