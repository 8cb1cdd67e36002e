{{/*
The manifest's tags. One that is a valid label becomes a label of every object; one whose value is not, an annotation of
the Deployments; one whose key is neither, or is a key of Kubernetes' or the chart's, goes with its like into one
annotation. Pods carry none: a tag that changes must not load a model again.
*/}}

{{/* Keys nobody may tag over: selectors and tools live on them. */}}
{{- define "dpd.tags.own" -}}
{{- if or (has . (list "app" "deploying-service")) (regexMatch "^([a-z0-9.-]*\\.)?(kubernetes\\.io|k8s\\.io|helm\\.sh|sagemaker\\.aws\\.amazon\\.com)/" .) }}true{{ end -}}
{{- end }}

{{/* Prints label, annotation or rest. Takes {name, value}. */}}
{{- define "dpd.tags.kind" -}}
{{- $word := "([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)" -}}
{{- $prefix := "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*" -}}
{{- $key := and (regexMatch (printf "^(%s/)?%s$" $prefix $word) .name) (le (len .name) 253) -}}
{{- if or (not $key) (include "dpd.tags.own" .name) -}}
rest
{{- else if regexMatch (printf "^%s?$" $word) .value -}}
label
{{- else -}}
annotation
{{- end -}}
{{- end }}

{{/* Takes {root, kind} → JSON object of the tags of that kind. */}}
{{- define "dpd.tags" -}}
{{- $kind := .kind -}}
{{- $found := dict -}}
{{- range .root.Values.tags -}}
{{- if eq (include "dpd.tags.kind" .) $kind }}{{ $_ := set $found .name .value }}{{ end -}}
{{- end -}}
{{ toJson $found }}
{{- end }}

{{- define "dpd.tags.labels" -}}
{{- with include "dpd.tags" (dict "root" .root "kind" "label") | fromJson }}{{ toYaml . }}{{ end -}}
{{- end }}

{{- define "dpd.tags.annotations" -}}
{{- $annotations := include "dpd.tags" (dict "root" .root "kind" "annotation") | fromJson -}}
{{- with include "dpd.tags" (dict "root" .root "kind" "rest") | fromJson -}}
{{- $_ := set $annotations "inference.sagemaker.aws.amazon.com/tags" (toJson .) -}}
{{- end -}}
{{- with $annotations }}{{ toYaml . }}{{ end -}}
{{- end }}
