{{/* Which nodes a worker may run on. Takes {root, facts}; begins with a line break. */}}

{{- define "dpd.scheduling" -}}
{{- $values := .root.Values -}}
{{- $topology := ternary (($values.pdSpec | default dict).topologySpec) nil (ne .facts.role "worker") | default dict -}}
{{- $selector := dict -}}
{{- with $values.instanceType }}{{ $_ := set $selector "node.kubernetes.io/instance-type" . }}{{ end -}}
{{- with $topology.availabilityZone }}{{ $_ := set $selector "topology.kubernetes.io/zone" . }}{{ end -}}
{{- with $topology.placementGroup }}{{ $_ := set $selector $values.topology.placementGroupLabel . }}{{ end -}}
{{- with mergeOverwrite $selector (.facts.nodeSelector | default dict) }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- $affinity := dict -}}
{{- with include "dpd.affinity.node" $values }}{{ $_ := set $affinity "nodeAffinity" (fromYaml .) }}{{ end -}}
{{- if and (ne .facts.role "worker") (not $topology.availabilityZone) (ne (get $topology "sameAZ" | toString) "false") -}}
  {{- $_ := set $affinity "podAffinity" (include "dpd.affinity.zone" (dict "root" .root "topology" $topology) | fromJson) -}}
{{- end -}}
{{- with $affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{/* nodeAffinity word for word, or instanceTypes: one of them is required, the earlier ones are preferred. */}}
{{- define "dpd.affinity.node" -}}
{{- $types := .instanceTypes -}}
{{- if .nodeAffinity -}}
{{ toYaml .nodeAffinity }}
{{- else if $types -}}
requiredDuringSchedulingIgnoredDuringExecution:
  nodeSelectorTerms:
    - matchExpressions:
        - {key: node.kubernetes.io/instance-type, operator: In, values: {{ toJson $types }}}
preferredDuringSchedulingIgnoredDuringExecution:
  {{- range $index, $type := $types }}
  - weight: {{ max 1 (sub 100 (mul 10 $index)) }}
    preference:
      matchExpressions:
        - {key: node.kubernetes.io/instance-type, operator: In, values: {{ list $type | toJson }}}
  {{- end }}
{{- end }}
{{- end }}

{{/*
All workers of the endpoint in one zone, wherever the first one lands. It is a rule on EFA, whose traffic never leaves a
zone, and wherever topologySpec is given, whose sameAZ is true unless it says otherwise; else a preference, for nodes
without a zone label could never meet the rule. → JSON.
*/}}
{{- define "dpd.affinity.zone" -}}
{{- $term := dict
  "topologyKey" "topology.kubernetes.io/zone"
  "labelSelector" (dict "matchLabels" (dict "app" (include "dpd.name" .root) "deploying-service" "hyperpod-inference")) -}}
{{- if or (eq .root.Values.transfer.fabric "efa") .topology -}}
{{ dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term) | toJson }}
{{- else -}}
{{ dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term)) | toJson }}
{{- end }}
{{- end }}
