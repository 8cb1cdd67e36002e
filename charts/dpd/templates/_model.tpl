{{/* Where the model comes from: what each modelSourceType adds to the worker. */}}

{{/*
Words that the source puts over the arguments. Takes {root, segments} → JSON list. The engine downloads from Hugging Face by
itself, so a manifest that names no model, or the folder where there will be none, gets the model's id; prefetched, it
lies in that folder, and the id is what would be downloaded twice. Clients go on asking for what the manifest named, or
else for the id. A model of the user's own choice stays.
*/}}
{{- define "dpd.model.args" -}}
{{- $model := .root.Values.modelSourceConfig.huggingFaceModel -}}
{{- $over := list -}}
{{- if and (eq .root.Values.modelSourceConfig.modelSourceType "huggingface") $model -}}
  {{- $leading := list -}}
  {{- range .segments }}{{ if not .key }}{{ $leading = .words }}{{ end }}{{ end -}}
  {{- $positional := without $leading "serve" | last | default "" -}}
  {{- $given := include "dpd.args.value" (dict "segments" .segments "key" "model") | default $positional -}}
  {{- $path := include "dpd.model.path" .root -}}
  {{- $fetched := eq (include "dpd.prefetch.on" .root) "true" -}}
  {{- $right := ternary $path $model.modelId $fetched -}}
  {{- $wrong := ternary $model.modelId $path $fetched -}}
  {{- $served := "" -}}
  {{- if not $given -}}
    {{- $over = list "--model" $right -}}
    {{- $served = ternary $model.modelId "" $fetched -}}
  {{- else if eq $given $wrong -}}
    {{- $over = ternary (append (initial $leading) $right) (list "--model" $right) (eq $positional $wrong) -}}
    {{- $served = $wrong -}}
  {{- end -}}
  {{- if and $served (not (include "dpd.args.has" (dict "segments" .segments "key" "served-model-name"))) }}{{ $over = concat $over (list "--served-model-name" $served) }}{{ end -}}
  {{- if and $model.commitSHA (not $fetched) (has $given (list "" $path $model.modelId)) (not (include "dpd.args.has" (dict "segments" .segments "key" "revision"))) -}}
    {{- $over = concat $over (list "--revision" $model.commitSHA) -}}
  {{- end -}}
{{- end -}}
{{ toJson $over }}
{{- end }}

{{/* JSON list of [name, value or valueFrom]. A model that is fetched before leaves the engine nothing to ask the hub for. */}}
{{- define "dpd.model.env" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $pairs := list -}}
{{- if and (eq $source.modelSourceType "huggingface") (not (include "dpd.prefetch.on" .)) -}}
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
{{- if and (has $type (list "s3" "fsx")) (not (include "dpd.prefetch.api" .)) -}}
- name: {{ .Values.worker.modelVolumeMount.name }}
  persistentVolumeClaim:
    claimName: {{ include "dpd.model.claim" . }}
    readOnly: true
{{- else if and (eq $type "huggingface") (not (include "dpd.prefetch.on" .)) -}}
- name: {{ .Values.worker.modelVolumeMount.name }}
  emptyDir: {}
{{- end }}
{{- end }}

{{/* Where the engine finds the model: the copy, or the source itself. */}}
{{- define "dpd.model.mount" -}}
{{- if include "dpd.prefetch.on" . -}}
- {name: {{ include "dpd.prefetch.volume" . }}, mountPath: {{ include "dpd.model.path" . | quote }}, readOnly: true}
{{- else -}}
{{ include "dpd.model.sourceMount" (dict "root" . "path" (include "dpd.model.path" .)) }}
{{- end }}
{{- end }}

{{/*
S3 mounts the model's own prefix; a file system or a user's volume is mounted whole, so the location is a sub-path.
Takes {root, path}.
*/}}
{{- define "dpd.model.sourceMount" -}}
{{- $source := .root.Values.modelSourceConfig -}}
- name: {{ .root.Values.worker.modelVolumeMount.name }}
  mountPath: {{ .path | quote }}
  {{- if ne $source.modelSourceType "huggingface" }}
  readOnly: true
  {{- end }}
  {{- if and $source.modelLocation (has $source.modelSourceType (list "fsx" "kubernetesVolume")) }}
  subPath: {{ trimAll "/" $source.modelLocation | quote }}
  {{- end }}
{{- end }}
