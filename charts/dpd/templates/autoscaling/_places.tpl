{{/* What may scale: JSON of each workload and where its autoScalingSpec is written. */}}

{{- define "dpd.autoscaling.places" -}}
{{- $places := dict "worker" "autoScalingSpec" -}}
{{- if .Values.pdSpec -}}
  {{- $places = dict "prefill" "pdSpec.autoScalingSpec.prefillAutoScaling" "decode" "pdSpec.autoScalingSpec.decodingAutoScaling" -}}
{{- end -}}
{{- if eq (include "dpd.router.enabled" .) "true" }}{{ $_ := set $places "router" "intelligentRoutingSpec.autoScalingSpec" }}{{ end -}}
{{ toJson $places }}
{{- end }}

{{/*
Takes {root, role} → JSON: {} when the workload keeps the replicas it was given, else what its ScaledObject is made of.
An autoScalingSpec whose triggers all lack what they measure or its target scales nothing: the command line of HyperPod
always writes such a one. Without any trigger at all the defaults of the role hold.
*/}}
{{- define "dpd.autoscaling" -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.autoscaling.facts" "of" .role "with" .) }}
{{- end }}

{{- define "dpd.autoscaling.facts" -}}
{{- $path := get (include "dpd.autoscaling.places" .root | fromJson) .role -}}
{{- $spec := .root.Values -}}
{{- range ternary list (splitList "." ($path | default "")) (empty $path) }}{{ $spec = get ($spec | default dict) . }}{{ end -}}
{{- if or (empty $path) (not (kindIs "map" $spec)) -}}
{}
{{- else -}}
{{- $given := include "dpd.autoscaling.given" (dict "spec" $spec "path" $path) | fromJsonArray -}}
{{- $complete := list -}}
{{- range $given }}{{ if .complete }}{{ $complete = append $complete . }}{{ end }}{{ end -}}
{{- if and $given (not $complete) -}}
{}
{{- else -}}
{{- dict
  "role" .role
  "path" $path
  "spec" $spec
  "name" (include "dpd.autoscaling.name" .)
  "namespace" (include "dpd.autoscaling.namespace" .)
  "target" (include "dpd.autoscaling.target" .)
  "min" (int (ternary 1 $spec.minReplicaCount (kindIs "invalid" $spec.minReplicaCount)))
  "max" (int (ternary 5 $spec.maxReplicaCount (kindIs "invalid" $spec.maxReplicaCount)))
  "default" (empty $given)
  "given" $complete
| toJson -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes {spec, path} → JSON list of {path, kind, trigger, complete}. A list wins over the single trigger beside it. */}}
{{- define "dpd.autoscaling.given" -}}
{{- $given := list -}}
{{- $spec := .spec -}}
{{- $path := .path -}}
{{- range list (list "cloudWatchTrigger" "metricName") (list "prometheusTrigger" "query") -}}
  {{- $key := first . -}}
  {{- $measured := last . -}}
  {{- $listed := get $spec (printf "%sList" $key) -}}
  {{- if $listed -}}
    {{- range $index, $trigger := $listed -}}
      {{- $complete := and (not (empty (get $trigger $measured))) (not (kindIs "invalid" $trigger.targetValue)) -}}
      {{- $given = append $given (dict "path" (printf "%s.%sList[%d]" $path $key $index) "kind" $key "trigger" $trigger "complete" $complete) -}}
    {{- end -}}
  {{- else if kindIs "map" (get $spec $key) -}}
    {{- $trigger := get $spec $key -}}
    {{- $complete := and (not (empty (get $trigger $measured))) (not (kindIs "invalid" $trigger.targetValue)) -}}
    {{- $given = append $given (dict "path" (printf "%s.%s" $path $key) "kind" $key "trigger" $trigger "complete" $complete) -}}
  {{- end -}}
{{- end -}}
{{ toJson $given }}
{{- end }}

{{- define "dpd.autoscaling.target" -}}
{{ if eq .role "router" }}{{ include "dpd.router.name" .root }}{{ else }}{{ include "dpd.workload.name" . }}{{ end }}
{{- end }}

{{- define "dpd.autoscaling.namespace" -}}
{{ if eq .role "router" }}{{ .root.Values.router.namespace }}{{ else }}{{ include "dpd.namespace" .root }}{{ end }}
{{- end }}

{{/* <name>-scaled-object, prefill-<name>-scaled-object, decode-<name>-scaled-object; the router's carries the namespace. */}}
{{- define "dpd.autoscaling.name" -}}
{{ if eq .role "router" }}{{ include "dpd.name.qualified" .root }}{{ else }}{{ include "dpd.workload.name" . }}{{ end }}-scaled-object
{{- end }}

{{/* A Deployment's replicas; nothing when an autoscaler sets them, or an upgrade would undo it. Takes {root, role, replicas}. */}}
{{- define "dpd.autoscaling.replicas" -}}
{{- if eq (include "dpd.autoscaling" .) "{}" }}replicas: {{ int .replicas }}{{ end -}}
{{- end }}
