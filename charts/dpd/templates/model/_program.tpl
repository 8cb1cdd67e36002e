{{/* What the prefetching init container runs, and the environment it runs in. Take the root. */}}

{{- define "dpd.prefetch.command" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $from := list "copy" "/model-source" -}}
{{- if eq $source.modelSourceType "huggingface" -}}
  {{- $from = list "hub" (printf "%s@%s" $source.huggingFaceModel.modelId ($source.huggingFaceModel.commitSHA | default "main")) -}}
{{- else if include "dpd.prefetch.api" . -}}
  {{- $location := trimAll "/" ($source.modelLocation | default "") -}}
  {{- $from = list "s3" (printf "s3://%s/%s" $source.s3Storage.bucketName $location) "--region" $source.s3Storage.region -}}
  {{- with .Values.prefetch.s3.endpoint }}{{ $from = concat $from (list "--endpoint" .) }}{{ end -}}
{{- end -}}
{{- $to := list "--to" (include "dpd.model.path" .) "--parallel" (int .Values.prefetch.parallel | toString) -}}
{{ concat (list "python3" "-B" "-u" "/etc/dpd-model/fetch_model.py") $from $to | toJson }}
{{- end }}

{{/*
Of the worker's variables those that decide how others are reached; the token comes from its Secret and goes nowhere else.
*/}}
{{- define "dpd.prefetch.env" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $env := list -}}
{{- $taken := dict -}}
{{- range .Values.worker.environmentVariables -}}
  {{- if regexMatch "^(HF_ENDPOINT|HF_TOKEN|AWS_[A-Z_]+|SSL_CERT_(FILE|DIR)|(?i:(https?|no|all)_proxy))$" .name -}}
    {{- $env = append $env . -}}
    {{- $_ := set $taken .name true -}}
  {{- end -}}
{{- end -}}
{{- if and (eq $source.modelSourceType "huggingface") (not (hasKey $taken "HF_TOKEN")) -}}
  {{- with $source.huggingFaceModel.tokenSecretRef -}}
    {{- $env = append $env (dict "name" "HF_TOKEN" "valueFrom" (dict "secretKeyRef" .)) -}}
  {{- end -}}
{{- end -}}
{{ toYaml $env }}
{{- end }}
