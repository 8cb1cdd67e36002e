{{/* A Grafana dashboard of this endpoint: rows and panels of files/monitoring.json, four panels to a line. */}}

{{- define "dpd.dashboard.source" -}}
{{ dict "type" "prometheus" "uid" "${datasource}" | toJson }}
{{- end }}

{{/*
Takes {root, panel, placeholders} → JSON of the panel's queries. What a rule records is asked for by its name, where there
are rules; else as the rule would have asked.
*/}}
{{- define "dpd.dashboard.targets" -}}
{{- $targets := list -}}
{{- $root := .root -}}
{{- $placeholders := .placeholders -}}
{{- range .panel.queries -}}
  {{- $query := . -}}
  {{- $byName := and .record $root.Values.monitoring.rules.enabled -}}
  {{- range ternary (list "0.5" "0.9" "0.99") (list "") (and .quantiles (not $byName) | empty | not) -}}
    {{- $text := ternary (printf "%s{$endpoint}" ($query.record | default "")) (replace "$quantile" . $query.expr) (not (empty $byName)) -}}
    {{- $legend := $query.legend -}}
    {{- if . }}{{ $legend = replace "{{quantile}}" . $legend }}{{ end -}}
    {{- $targets = append $targets (dict
      "refId" (printf "%c" (add 65 (len $targets)))
      "datasource" (include "dpd.dashboard.source" $root | fromJson)
      "expr" (include "dpd.monitoring.filled" (dict "text" $text "placeholders" $placeholders))
      "legendFormat" $legend) -}}
  {{- end -}}
{{- end -}}
{{ toJson $targets }}
{{- end }}

{{/* Takes {root, panel, placeholders, id, x, y} → JSON of the panel. */}}
{{- define "dpd.dashboard.panel" -}}
{{- dict
  "id" .id
  "type" "timeseries"
  "title" .panel.title
  "description" .panel.says
  "gridPos" (dict "h" 8 "w" 6 "x" .x "y" .y)
  "datasource" (include "dpd.dashboard.source" .root | fromJson)
  "fieldConfig" (dict "defaults" (dict "unit" .panel.unit "min" 0) "overrides" list)
  "options" (dict
    "legend" (dict "displayMode" "list" "placement" "bottom" "showLegend" true "calcs" list)
    "tooltip" (dict "mode" "multi" "sort" "desc"))
  "targets" (include "dpd.dashboard.targets" . | fromJsonArray)
| toJson -}}
{{- end }}

{{/* Takes {root, rows, placeholders} → JSON of all panels, a row's title before its own. */}}
{{- define "dpd.dashboard.panels" -}}
{{- $panels := list -}}
{{- $y := 0 -}}
{{- $common := . -}}
{{- range .rows -}}
  {{- $panels = append $panels (dict
    "id" (add 1 (len $panels)) "type" "row" "title" .title "collapsed" false "panels" list
    "gridPos" (dict "h" 1 "w" 24 "x" 0 "y" $y)) -}}
  {{- $y = add 1 $y -}}
  {{- range $number, $panel := .panels -}}
    {{- $place := dict "panel" $panel "id" (add 1 (len $panels)) "x" (mul 6 (mod $number 4)) "y" (add $y (mul 8 (div $number 4))) -}}
    {{- $panels = append $panels (include "dpd.dashboard.panel" (merge $place $common) | fromJson) -}}
  {{- end -}}
  {{- $y = add $y (mul 8 (div (add 3 (len .panels)) 4)) -}}
{{- end -}}
{{ toJson $panels }}
{{- end }}

{{/* Takes the root → JSON of the dashboard. */}}
{{- define "dpd.dashboard" -}}
{{- $placeholders := include "dpd.monitoring.placeholders" . | fromJson -}}
{{- $rows := include "dpd.monitoring.rows" (dict "root" . "facts" (include "dpd.monitoring.facts" . | fromJsonArray)) | fromJsonArray -}}
{{- $title := printf "%s/%s" (include "dpd.namespace" .) (include "dpd.name" .) -}}
{{- dict
  "uid" (printf "dpd-%s" (sha256sum $title | trunc 16))
  "title" (printf "DPD %s" $title)
  "tags" (list "dpd" "inference")
  "schemaVersion" 39
  "version" 1
  "editable" true
  "timezone" "browser"
  "refresh" "30s"
  "time" (dict "from" "now-1h" "to" "now")
  "annotations" (dict "list" list)
  "templating" (dict "list" (list (dict "name" "datasource" "label" "Data source" "type" "datasource" "query" "prometheus")))
  "panels" (include "dpd.dashboard.panels" (dict "root" . "rows" $rows "placeholders" $placeholders) | fromJsonArray)
| toJson -}}
{{- end }}
