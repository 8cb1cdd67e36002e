{{/* How the router finds workers: by watching pods, or by DNS, which takes no rights. */}}

{{- define "dpd.discovery.kubernetes" -}}
{{- if eq .Values.router.discovery "kubernetes" }}true{{ end -}}
{{- end }}

{{/* The router's own section. Under kubernetes the API server's address, token and CA are as in any pod. */}}
{{- define "dpd.discovery.section" -}}
{{- $section := dict "mode" .Values.router.discovery -}}
{{- if include "dpd.discovery.kubernetes" . }}{{ $_ := set $section "namespace" (include "dpd.namespace" .) }}{{ end -}}
{{ toJson $section }}
{{- end }}

{{/* The entry of a role in the router's pools: whatever its Deployment selects. Takes {root, role}. */}}
{{- define "dpd.discovery.entry" -}}
{{- $entry := dict "port" 8081 -}}
{{- if include "dpd.discovery.kubernetes" .root -}}
  {{- $terms := list -}}
  {{- range $label, $value := include "dpd.selector" (dict "root" .root "component" .role) | fromYaml -}}
    {{- $terms = append $terms (printf "%s=%s" $label $value) -}}
  {{- end -}}
  {{- $_ := set $entry "selector" (join "," $terms) -}}
{{- else -}}
  {{- $_ := set $entry "host" (include "dpd.workload.host" .) -}}
{{- end -}}
{{ toJson $entry }}
{{- end }}
