{{/*
Keys of the chart's own that its templates read without a question (files/present.json, from values.yaml). A values file
that sets one to null takes the default away, and Helm does so before the schema is asked.
*/}}

{{- define "dpd.check.present" -}}
{{- range $path, $keys := .Files.Get "files/present.json" | fromJson -}}
{{- $held := $.Values -}}
{{- range splitList "." $path }}{{ if $held }}{{ $held = get $held . }}{{ end }}{{ end -}}
{{- if kindIs "map" $held -}}
{{- range $keys -}}
{{- with index $held . }}{{ else }}{{ if kindIs "invalid" (index $held .) }}
{{ $path }}.{{ . }}: null, and the chart reads it; leave it out to have its default
{{- end }}{{ end -}}
{{- end -}}
{{- else if and (not (contains "." $path)) (not (hasKey $.Values $path)) }}
{{ $path }}: null, and the chart reads it; leave it out to have its default
{{- end -}}
{{- end -}}
{{- end }}
