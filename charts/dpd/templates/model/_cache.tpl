{{/*
modelCacheConfig: the model's weights and the worker's image on every node that workers may run on, before there is a pod.
AWS names its two sections; of what they hold `enabled` is read. All take the root.
*/}}

{{- define "dpd.modelCache.section" -}}
{{- $section := get (.root.Values.modelCacheConfig | default dict) .name -}}
{{- if kindIs "map" $section }}{{ if ne (get $section "enabled" | toString) "false" }}true{{ end }}{{ end -}}
{{- end }}

{{/* "true" when copies of the model outlive their pods, on the node's disk. */}}
{{- define "dpd.modelCache.weights" -}}
{{ include "dpd.modelCache.section" (dict "root" . "name" "weightsCache") }}
{{- end }}

{{- define "dpd.modelCache.image" -}}
{{ include "dpd.modelCache.section" (dict "root" . "name" "imageCache") }}
{{- end }}

{{/* "true" when nodes are made ready ahead; where the manifest says nothing of nodes, only pods fill their own node's cache. */}}
{{- define "dpd.modelCache.ahead" -}}
{{- $placed := or .Values.instanceType .Values.instanceTypes .Values.nodeAffinity -}}
{{- if and $placed (or (include "dpd.modelCache.weights" .) (include "dpd.modelCache.image" .)) }}true{{ end -}}
{{- end }}

{{- define "dpd.modelCache.name" -}}
{{ include "dpd.name" . }}-model-cache
{{- end }}

{{/* None of a worker's labels: these pods are no reason for a worker to be in their zone. */}}
{{- define "dpd.modelCache.labels" -}}
app: {{ include "dpd.modelCache.name" . }}
app.kubernetes.io/component: model-cache
app.kubernetes.io/name: dpd
app.kubernetes.io/instance: {{ include "dpd.name" . | quote }}
{{- end }}

{{/* Nodes of the endpoint, and of them those that are kept for GPUs. */}}
{{- define "dpd.modelCache.nodes" -}}
{{- with .Values.instanceType }}
nodeSelector: {node.kubernetes.io/instance-type: {{ . | quote }}}
{{- end }}
{{- with include "dpd.affinity.node" .Values | fromYaml }}
affinity:
  nodeAffinity:
    {{- omit . "preferredDuringSchedulingIgnoredDuringExecution" | toYaml | nindent 4 }}
{{- end }}
tolerations:
  {{- concat (list (dict "key" "nvidia.com/gpu" "operator" "Exists")) (.Values.tolerations | default list) | toYaml | nindent 2 }}
{{- end }}
