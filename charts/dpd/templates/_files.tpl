{{/* Programs that a pod mounts: files of the chart as a ConfigMap's data. */}}

{{/*
Takes {root, glob} → a block of text by each file's own name, as AsConfig gives them, which has them written as YAML and
read and written again.
*/}}
{{- define "dpd.files" -}}
{{- range $path, $_ := .root.Files.Glob .glob }}
{{ base $path }}: |
  {{- $.root.Files.Get $path | trim | nindent 2 }}
{{- end }}
{{- end }}
