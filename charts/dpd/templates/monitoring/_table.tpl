{{/* What rules and dashboard share: which rows of files/monitoring.json are this endpoint's, and their queries. */}}

{{- define "dpd.monitoring" -}}
{{ .Files.Get "files/monitoring.json" }}
{{- end }}

{{/* The placeholders of the table, and what stands for each here. */}}
{{- define "dpd.monitoring.placeholders" -}}
{{- $seconds := max 300 (mul 4 (include "dpd.collector.interval" . | trimSuffix "s" | int)) -}}
{{- $threshold := 0 -}}
{{- if eq (include "dpd.transfer.lmcache" .) "true" }}{{ $threshold = include "dpd.router.threshold" . | int }}{{ end -}}
{{- dict
  "$endpoint" (printf "namespace=%q,resource_name=%q" (include "dpd.namespace" .) (include "dpd.name" .))
  "$window" (.Values.monitoring.window | default (printf "%ds" (int $seconds)))
  "$fallbacks" ((include "dpd.monitoring" . | fromJson).fallbacks | join "|")
  "$leastTokens" (max 1 (div $threshold 2) | toString)
  "$leastRate" (int64 .Values.monitoring.rules.minTransferBytesPerSecond | toString)
| toJson }}
{{- end }}

{{/* What this endpoint has, of what a row may need. */}}
{{- define "dpd.monitoring.facts" -}}
{{- $facts := list (ternary "pd" "colocated" (not (empty .Values.pdSpec))) -}}
{{- if eq (include "dpd.router.enabled" .) "true" }}{{ $facts = append $facts "router" }}{{ end -}}
{{- if eq (include "dpd.transfer.lmcache" .) "true" }}{{ $facts = append $facts "lmcache" }}{{ end -}}
{{- if eq (include "dpd.transfer.nixl" .) "true" }}{{ $facts = append $facts "nixl" }}{{ end -}}
{{- if eq .Values.transfer.fabric "efa" }}{{ $facts = append $facts "efa" }}{{ end -}}
{{- if include "dpd.router.tls.secretName" . | trim }}{{ $facts = append $facts "tls" }}{{ end -}}
{{ toJson $facts }}
{{- end }}

{{/* Takes {needs, facts} → "true" when all that is needed is there. */}}
{{- define "dpd.monitoring.fits" -}}
{{- $missing := list -}}
{{- range .needs }}{{ if not (has . $.facts) }}{{ $missing = append $missing . }}{{ end }}{{ end -}}
{{- if not $missing }}true{{ end -}}
{{- end }}

{{/* Takes {text, placeholders} → the text for this endpoint. */}}
{{- define "dpd.monitoring.filled" -}}
{{- $text := .text -}}
{{- range $name, $value := .placeholders }}{{ $text = replace $name $value $text }}{{ end -}}
{{ $text }}
{{- end }}

{{/* Takes {root, facts} → the rows that are this endpoint's, each with those of its panels that are. */}}
{{- define "dpd.monitoring.rows" -}}
{{- $facts := .facts -}}
{{- $rows := list -}}
{{- range (include "dpd.monitoring" .root | fromJson).rows -}}
  {{- if eq (include "dpd.monitoring.fits" (dict "needs" .needs "facts" $facts)) "true" -}}
    {{- $panels := list -}}
    {{- range .panels -}}
      {{- if eq (include "dpd.monitoring.fits" (dict "needs" .needs "facts" $facts)) "true" }}{{ $panels = append $panels . }}{{ end -}}
    {{- end -}}
    {{- if $panels }}{{ $rows = append $rows (dict "title" .title "key" .key "panels" $panels) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{ toJson $rows }}
{{- end }}
