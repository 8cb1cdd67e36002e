{{/*
What many templates ask for and what is always the same is worked out once. Helm hands the same root to every template of
a chart and makes it anew for each rendering, so what a helper printed is kept there.

Takes {root, helper, of, with}: the helper's name, whose text it is (a role, or nothing for the endpoint's), and what the
helper takes. Prints what the helper prints. The text must follow from the values and `of` alone.
*/}}
{{- define "dpd.once" -}}
{{- if not (hasKey .root "Once") }}{{ $_ := set .root "Once" dict }}{{ end -}}
{{- $key := printf "%s %s" .helper (.of | default "") -}}
{{- if not (hasKey .root.Once $key) }}{{ $_ := set .root.Once $key (include .helper .with) }}{{ end -}}
{{ get .root.Once $key }}
{{- end }}
