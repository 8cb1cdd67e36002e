{{/* Where the model comes from: what each modelSourceType adds to the worker. */}}

{{/*
Words that the source puts over the arguments. Takes {root, args} → JSON list. The engine downloads from Hugging Face by
itself, so a manifest that names no model, or the folder where there will be none, gets the model's id; clients go on
asking for what the manifest named. A model of the user's own choice stays.
*/}}
{{- define "dpd.model.args" -}}
{{- $model := .root.Values.modelSourceConfig.huggingFaceModel -}}
{{- $over := list -}}
{{- if and (eq .root.Values.modelSourceConfig.modelSourceType "huggingface") $model -}}
  {{- $leading := list -}}
  {{- range include "dpd.args.segments" .args | fromJsonArray }}{{ if not .key }}{{ $leading = .words }}{{ end }}{{ end -}}
  {{- $positional := without $leading "serve" | last | default "" -}}
  {{- $given := include "dpd.args.value" (dict "args" .args "key" "model") | default $positional -}}
  {{- $path := include "dpd.model.path" .root -}}
  {{- if not $given -}}
    {{- $over = list "--model" $model.modelId -}}
  {{- else if eq $given $path -}}
    {{- $over = ternary (append (initial $leading) $model.modelId) (list "--model" $model.modelId) (eq $positional $path) -}}
    {{- if not (include "dpd.args.has" (dict "args" .args "key" "served-model-name")) }}{{ $over = concat $over (list "--served-model-name" $path) }}{{ end -}}
  {{- end -}}
  {{- if and $model.commitSHA (has $given (list "" $path $model.modelId)) (not (include "dpd.args.has" (dict "args" .args "key" "revision"))) -}}
    {{- $over = concat $over (list "--revision" $model.commitSHA) -}}
  {{- end -}}
{{- end -}}
{{ toJson $over }}
{{- end }}

{{/* JSON list of [name, value or valueFrom]. */}}
{{- define "dpd.model.env" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $pairs := list -}}
{{- if eq $source.modelSourceType "huggingface" -}}
  {{- $pairs = append $pairs (list "HF_HUB_CACHE" (include "dpd.model.path" .)) -}}
  {{- with ($source.huggingFaceModel | default dict).tokenSecretRef -}}
    {{- $pairs = append $pairs (list "HF_TOKEN" (dict "secretKeyRef" .)) -}}
  {{- end -}}
{{- end -}}
{{ toJson $pairs }}
{{- end }}

{{- define "dpd.model.path" -}}
{{ .Values.worker.modelVolumeMount.mountPath | default "/opt/ml/model" }}
{{- end }}

{{/* The pod's volume of the model; kubernetesVolume names one of kubernetes.volumes, so there is nothing to add. */}}
{{- define "dpd.model.podVolume" -}}
{{- $type := .Values.modelSourceConfig.modelSourceType -}}
{{- if has $type (list "s3" "fsx") -}}
- name: {{ .Values.worker.modelVolumeMount.name }}
  persistentVolumeClaim:
    claimName: {{ include "dpd.model.claim" . }}
    readOnly: true
{{- else if eq $type "huggingface" -}}
- name: {{ .Values.worker.modelVolumeMount.name }}
  emptyDir: {}
{{- end }}
{{- end }}

{{/* S3 mounts the model's own prefix; a file system or a user's volume is mounted whole, so the location is a sub-path. */}}
{{- define "dpd.model.mount" -}}
{{- $source := .Values.modelSourceConfig -}}
- name: {{ .Values.worker.modelVolumeMount.name }}
  mountPath: {{ include "dpd.model.path" . | quote }}
  {{- if ne $source.modelSourceType "huggingface" }}
  readOnly: true
  {{- end }}
  {{- if and $source.modelLocation (has $source.modelSourceType (list "fsx" "kubernetesVolume")) }}
  subPath: {{ trimAll "/" $source.modelLocation | quote }}
  {{- end }}
{{- end }}
