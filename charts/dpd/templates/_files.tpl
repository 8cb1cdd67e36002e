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

{{/*
A file's text: YAML of a dict, a line for each key, whose value is JSON. Keys are names that mean the same in YAML. Helm writes
YAML that is nothing but YAML a dozen times slower.
*/}}
{{- define "dpd.files.lines" -}}
{{- range $key, $value := . }}
{{ $key }}: {{ toJson $value }}
{{- end }}
{{- end }}
