{{/*
What many templates ask for and what is always the same is worked out once. Helm hands the same root to every template of
a chart and makes it anew for each rendering, so what a helper printed is kept there.

Takes {root, helper, of, with}: the helper's name, whose text it is (a role, or nothing for the endpoint's), and what the
helper takes. Prints what the helper prints. The text must follow from the values and `of` alone.
*/}}
{{- define "dpd.once" -}}
{{- $kept := .root.Once -}}
{{- if not $kept -}}
{{- $kept = dict -}}
{{- $_ := set .root "Once" $kept -}}
{{- end -}}
{{- $key := print .helper " " .of -}}
{{- if not (hasKey $kept $key) }}{{ $_ := set $kept $key (include .helper .with) }}{{ end -}}
{{ get $kept $key }}
{{- end }}
