{{/* Checks of the model's source and of its copy. Take the root. */}}

{{- define "dpd.check.prefetch" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $prefetch := .Values.prefetch -}}
{{- include "dpd.check.initContainers" . -}}
{{- if and (eq $source.modelSourceType "huggingface") ($source.huggingFaceModel | default dict).tokenSecretRef -}}
{{- if not $source.huggingFaceModel.tokenSecretRef.name }}
modelSourceConfig.huggingFaceModel.tokenSecretRef.name: empty; write the Secret's name
{{- end -}}
{{- end -}}
{{- if and $prefetch.hostPath (ne $prefetch.medium "disk") }}
prefetch.hostPath: a folder of the node, and prefetch.medium is {{ $prefetch.medium }}; set that to disk
{{- end -}}
{{- if eq $prefetch.s3.access "api" -}}
{{- if not (and (include "dpd.prefetch.on" .) (eq $source.modelSourceType "s3")) }}
prefetch.s3.access: api, and only a prefetched model of modelSourceType s3 is asked for that way; set modelSourceConfig.prefetchEnabled, or access to mount
{{- end -}}
{{- else if or $prefetch.s3.endpoint $prefetch.s3.credentialsSecret }}
prefetch.s3.access: {{ $prefetch.s3.access }}, and the driver's own configuration says how it reaches the bucket; set it to api, or remove endpoint and credentialsSecret
{{- end -}}
{{- end }}

{{/* One name each, and none that a container of the pod has. */}}
{{- define "dpd.check.initContainers" -}}
{{- $beside := list "sidecar-reverse-proxy" "otel-collector" "s3-uploader" -}}
{{- range ternary (list "prefill" "decode") (list "worker") (not (empty .Values.pdSpec)) -}}
{{- $beside = append $beside (include "dpd.workload.name" (dict "root" $ "role" .)) -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $index, $container := (.Values.kubernetes | default dict).initContainers -}}
{{- $path := printf "kubernetes.initContainers[%d].name" $index -}}
{{- if has .name (concat $beside (list "verify-worker" "model-weights-copy" "hf-model-downloader")) }}
{{ $path }}: {{ .name }} is the chart's own; use another name
{{- else if hasKey $seen .name }}
{{ $path }}: {{ .name }} is given twice, first in [{{ get $seen .name }}]; rename one of them
{{- else -}}
{{- $_ := set $seen .name $index -}}
{{- end -}}
{{- range $place, $variable := .env }}{{ include "dpd.check.environment.name" (dict "name" .name "path" (printf "kubernetes.initContainers[%d].env[%d].name" $index $place)) }}{{ end -}}
{{- end -}}
{{- end }}
