{{/* Recording rules and alerts, from files/monitoring.json. */}}

{{/* Takes {rows, placeholders} → one rule for each query with a name, three for quantiles. */}}
{{- define "dpd.rules.records" -}}
{{- $rules := list -}}
{{- $placeholders := .placeholders -}}
{{- range .rows -}}
  {{- range .panels -}}
    {{- range .queries -}}
      {{- $query := . -}}
      {{- if .record -}}
        {{- range ternary (list "0.5" "0.9" "0.99") (list "") (not (empty .quantiles)) -}}
          {{- $expression := replace "$quantile" . $query.expr -}}
          {{- $rule := dict "record" $query.record "expr" (include "dpd.monitoring.filled" (dict "text" $expression "placeholders" $placeholders)) -}}
          {{- if . }}{{ $_ := set $rule "labels" (dict "quantile" .) }}{{ end -}}
          {{- $rules = append $rules $rule -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{ toJson $rules }}
{{- end }}

{{/* Takes {root, facts, placeholders} → one rule for each alert that may fire here. */}}
{{- define "dpd.rules.alerts" -}}
{{- $rules := list -}}
{{- $root := .root -}}
{{- $facts := .facts -}}
{{- $placeholders := .placeholders -}}
{{- range (include "dpd.monitoring" .root | fromJson).alerts -}}
  {{- if eq (include "dpd.monitoring.fits" (dict "needs" .needs "facts" $facts)) "true" -}}
    {{- $rules = append $rules (dict
      "alert" .alert
      "expr" (include "dpd.monitoring.filled" (dict "text" .expr "placeholders" $placeholders))
      "for" .for
      "labels" (dict "severity" .severity "namespace" (include "dpd.namespace" $root) "resource_name" (include "dpd.name" $root))
      "annotations" (dict
        "summary" .summary
        "description" .description
        "runbook_url" (printf "%s#%s" $root.Values.monitoring.rules.runbooks (lower .alert)))) -}}
  {{- end -}}
{{- end -}}
{{ toJson $rules }}
{{- end }}

{{/* Takes the root → the groups of rules. Alerts come second: they ask for what the first group records. */}}
{{- define "dpd.rules.groups" -}}
{{- $facts := include "dpd.monitoring.facts" . | fromJsonArray -}}
{{- $placeholders := include "dpd.monitoring.placeholders" . | fromJson -}}
{{- $rows := include "dpd.monitoring.rows" (dict "root" . "facts" $facts) | fromJsonArray -}}
{{- $name := include "dpd.name.qualified" . -}}
{{- $alerts := include "dpd.rules.alerts" (dict "root" . "facts" $facts "placeholders" $placeholders) | fromJsonArray -}}
{{- $groups := list (dict "name" (printf "dpd.%s.metrics" $name) "rules" (include "dpd.rules.records" (dict "rows" $rows "placeholders" $placeholders) | fromJsonArray)) -}}
{{- if $alerts }}{{ $groups = append $groups (dict "name" (printf "dpd.%s.alerts" $name) "rules" $alerts) }}{{ end -}}
{{ toJson $groups }}
{{- end }}
