{{/*
What a JSON schema cannot say: cross-field rules. Every check prints lines of "path: fact; remedy", all of them are shown
at once. Those of the worker and of the roles lie in files of their own.
*/}}

{{- define "dpd.check" -}}
{{- $lines := include "dpd.check.present" . | splitList "\n" -}}
{{- if eq (trim (join "" $lines)) "" -}}
{{- $lines = include "dpd.check.fit" . | splitList "\n" -}}
{{- end -}}
{{- $problems := list -}}
{{- range $lines }}{{ if trim . }}{{ $problems = append $problems (trim .) }}{{ end }}{{ end -}}
{{- if $problems -}}
{{- fail (printf "the values do not fit together:\n%s" (join "\n" $problems)) -}}
{{- end -}}
{{- end }}

{{/* Every other check reads keys that "dpd.check.present" found. */}}
{{- define "dpd.check.fit" -}}
{{- $lines := list -}}
{{- range list "names" "worker" "environment" "volumes" "mount" "cache" "source" "prefetch" "scheduling" "autoscaling" "images" "invocation" "capture" "edge" -}}
  {{- $lines = concat $lines (splitList "\n" (include (printf "dpd.check.%s" .) $)) -}}
{{- end -}}
{{- if .Values.pdSpec -}}
  {{- range list "roles" "transfer" "ports" "connector" -}}
    {{- $lines = concat $lines (splitList "\n" (include (printf "dpd.check.%s" .) $)) -}}
  {{- end -}}
{{- end -}}
{{- if eq (include "dpd.router.enabled" .) "true" -}}
  {{- $lines = concat $lines (splitList "\n" (include "dpd.check.router" .)) -}}
{{- end -}}
{{ join "\n" $lines }}
{{- end }}

{{/* The longest name the chart derives is a Service's, and Kubernetes gives it 63 characters. */}}
{{- define "dpd.check.names" -}}
{{- $name := include "dpd.name" . -}}
{{- $path := ternary "nameOverride" "release name" (not (empty .Values.nameOverride)) -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{ $path }}: {{ $name | quote }} cannot name a Service; use lower-case letters, digits and dashes, a letter first
{{- end -}}
{{- $namespace := include "dpd.namespace" . -}}
{{- $home := ternary "namespaceOverride" "release namespace" (not (empty .Values.namespaceOverride)) -}}
{{- if or (gt (len $namespace) 63) (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $namespace)) }}
{{ $home }}: {{ $namespace | quote }} cannot name a namespace; use at most 63 lower-case letters, digits and dashes
{{- end -}}
{{- $longest := ternary (include "dpd.router.service" .) (include "dpd.workload.name" (dict "root" . "role" "worker")) (eq (include "dpd.router.enabled" .) "true") -}}
{{- $most := sub (add 63 (len $name)) (len $longest) -}}
{{- if lt $most 1 }}
{{ $home }}: {{ $namespace | quote }} and the name {{ $name | quote }} make a Service name of {{ len $longest }} characters, and 63 are allowed; shorten the two to {{ sub (add 63 (len $name) (len $namespace)) (len $longest) }} characters together
{{- else if gt (len $longest) 63 }}
{{ $path }}: {{ $name | quote }} makes a Service name of {{ len $longest }} characters, {{ $longest | quote }}, and 63 are allowed; shorten it to {{ $most }} characters
{{- end -}}
{{- end }}

{{/* The router answers on this path, clients ask for it: only what stands in a URL's path as it is, and no way out of it. */}}
{{- define "dpd.check.invocation" -}}
{{- $path := .Values.invocationEndpoint | default "invocations" -}}
{{- if or (not (regexMatch "^[A-Za-z0-9/._~!$&()*+,;=:@%-]+$" $path)) (regexMatch "(^|/)[.][.]?(/|$)" $path) }}
invocationEndpoint: {{ $path | toJson }} is no path of a URL; use letters, digits, dashes and slashes, such as "v1/chat/completions"
{{- end -}}
{{- end }}

{{- define "dpd.check.router" -}}
{{- include "dpd.check.router.surface" . -}}
{{- include "dpd.check.router.tracing" . -}}
{{- include "dpd.check.routing" . -}}
{{- end }}

{{- define "dpd.check.images" -}}
{{- range $name := list "proxy" "collector" -}}
{{- $image := (get $.Values $name).image -}}
{{- if not (or $image.tag $image.digest) }}
{{ $name }}.image.tag: empty, and there is no digest; set one of them
{{- end -}}
{{- end -}}
{{- if ge (int .Values.drainSeconds) (int .Values.terminationGracePeriodSeconds) }}
terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }} is over before the {{ int .Values.drainSeconds }} drainSeconds are; make it longer
{{- end -}}
{{- end }}
