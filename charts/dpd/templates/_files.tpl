{{/* Programs that a pod mounts: files of the chart as a ConfigMap's data. */}}

{{/*
Takes {root, glob} → a block of text by each file's own name. AsConfig gives the same, but writes it as YAML, reads that
and writes it again, which takes many times as long.
*/}}
{{- define "dpd.files" -}}
{{- range $path, $_ := .root.Files.Glob .glob }}
{{ base $path }}: |
  {{- $.root.Files.Get $path | trim | nindent 2 }}
{{- end }}
{{- end }}
