{{/* Where the model comes from: what each modelSourceType adds to the worker. */}}

{{/* Flags that the source implies and the user did not give. Takes {root, args} → JSON list. */}}
{{- define "dpd.model.args" -}}
{{- $source := .root.Values.modelSourceConfig -}}
{{- $args := list -}}
{{- if and (eq $source.modelSourceType "huggingface") $source.huggingFaceModel -}}
  {{- $named := or (include "dpd.args.has" (dict "args" .args "key" "model")) (and .args (not (include "dpd.args.isFlag" (first .args)))) -}}
  {{- if not $named -}}
    {{- $args = list "--model" $source.huggingFaceModel.modelId -}}
    {{- with $source.huggingFaceModel.commitSHA }}{{ $args = concat $args (list "--revision" .) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{ toJson $args }}
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
