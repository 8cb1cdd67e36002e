{{/*
What many templates ask for and what is always the same is worked out once. Helm hands the same root to every template of
a chart and makes it anew for each rendering, so what a helper printed is kept there.

Takes {root, helper, of, with}: the helper's name, whose text it is (a role, or nothing for the endpoint's), and what the
helper takes. Prints what the helper prints. The text must follow from the values and `of` alone. One that is empty is not kept.
*/}}
{{- define "dpd.once" -}}
{{- $key := print .helper " " .of -}}
{{- with index (.root.Once | default dict) $key -}}
{{ . }}
{{- else -}}
{{- $text := include .helper .with -}}
{{- /* Only now: the helper may have kept something itself. */}}
{{- $_ := set .root "Once" (set (.root.Once | default dict) $key $text) -}}
{{ $text }}
{{- end -}}
{{- end }}
