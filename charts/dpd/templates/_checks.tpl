{{- define "dpd.check" -}}
{{- end }}
