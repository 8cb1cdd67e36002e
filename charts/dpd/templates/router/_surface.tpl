{{/*
What the router shows its clients: TLS, API keys, limits, logs, and the port of its metrics. Secrets are mounted as files, which
the router reads again as they change.
*/}}

{{/* The Secret with the certificate, empty for none: the user's own for the router, or the endpoint's. */}}
{{- define "dpd.router.tls.secretName" -}}
{{- if ne .Values.router.tls.mode "disabled" -}}
{{- if .Values.router.tls.existingSecret -}}
{{ .Values.router.tls.existingSecret }}
{{- else if eq (include "dpd.tls.hasSecret" .) "true" -}}
{{ include "dpd.tls.secretName" . }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Sections of the router's file, as JSON; keys that are left out have the router's defaults. */}}
{{- define "dpd.router.surface" -}}
{{- $file := dict "metrics" (dict "host" "0.0.0.0" "port" 9090) -}}
{{- if include "dpd.router.tls.secretName" . -}}
  {{- $_ := set $file "tls" (dict "mode" .Values.router.tls.mode "certificateFile" "/etc/dpd-router-tls/tls.crt" "keyFile" "/etc/dpd-router-tls/tls.key") -}}
{{- end -}}
{{- with .Values.router.auth -}}
{{- if .existingSecret -}}
  {{- $auth := dict "keysDirectory" "/etc/dpd-router-keys" "forward" .forward -}}
  {{- with .rateLimit }}{{ $_ := set $auth "rateLimit" (include "dpd.integers" . | fromYaml) }}{{ end -}}
  {{- $own := dict -}}
  {{- range $name, $rate := .rateLimits }}{{ $_ := set $own $name (include "dpd.integers" $rate | fromYaml) }}{{ end -}}
  {{- with $own }}{{ $_ := set $auth "rateLimits" . }}{{ end -}}
  {{- $_ := set $file "auth" $auth -}}
{{- end -}}
{{- end -}}
{{- with .Values.router.logs }}{{ $_ := set $file "logs" . }}{{ end -}}
{{- with include "dpd.tracing.section" . | fromJson }}{{ $_ := set $file "tracing" . }}{{ end -}}
{{- with pick .Values.router.limits "headBytes" "bodyBytes" "heldBytes" "connections" }}{{ $_ := set $file "limits" (include "dpd.integers" . | fromYaml) }}{{ end -}}
{{ toJson $file }}
{{- end }}

{{/* A map of whole numbers as YAML; as values they would be written 1e+06 from a million on, which is no whole number. */}}
{{- define "dpd.integers" -}}
{{- range $key, $value := . }}
{{ $key }}: {{ int64 $value }}
{{- end }}
{{- end }}

{{/* Times of the router's file, over those that the chart works out, as JSON. */}}
{{- define "dpd.router.surface.timeouts" -}}
{{ pick .Values.router.limits "headSeconds" "requestSeconds" "stalledSeconds" | toJson }}
{{- end }}

{{- define "dpd.router.surface.mounts" -}}
{{- if include "dpd.router.tls.secretName" . }}
- {name: router-tls, mountPath: /etc/dpd-router-tls, readOnly: true}
{{- end }}
{{- if .Values.router.auth.existingSecret }}
- {name: router-keys, mountPath: /etc/dpd-router-keys, readOnly: true}
{{- end }}
{{- end }}

{{- define "dpd.router.surface.volumes" -}}
{{- with include "dpd.router.tls.secretName" . }}
- name: router-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0444
    # cert-manager fills it after the first install: until then there is plain HTTP, and in mode strict nobody is let in.
    optional: {{ empty $.Values.router.tls.existingSecret | and (eq (include "dpd.tls.managed" $) "true") }}
{{- end }}
{{- with .Values.router.auth.existingSecret }}
- name: router-keys
  secret: {secretName: {{ . }}, defaultMode: 0444}
{{- end }}
{{- end }}

{{- define "dpd.check.router.surface" -}}
{{- if and (eq .Values.router.tls.mode "strict") (not (include "dpd.router.tls.secretName" .)) }}
router.tls.mode: strict without a certificate lets nobody in; set router.tls.existingSecret, edge.tls.secretName or tlsConfig
{{- end -}}
{{- if and (or .Values.router.auth.rateLimit .Values.router.auth.rateLimits) (not .Values.router.auth.existingSecret) }}
router.auth.existingSecret: required when rates are set, for they are those of keys; name the Secret with the keys
{{- end -}}
{{- range $path, $rate := merge (dict "rateLimit" .Values.router.auth.rateLimit) (include "dpd.router.rates" . | fromJson) -}}
{{- if and $rate (not $rate.requestsPerMinute) }}
router.auth.{{ $path }}.requestsPerMinute: required beside burst; add it
{{- end -}}
{{- end -}}
{{- if has (include "dpd.router.invocationPath" .) (list "/health" "/ping" "/metrics" "/openapi.json" "/v1/models") }}
invocationEndpoint: {{ .Values.invocationEndpoint | toJson }} is answered by the router itself; use another path
{{- end -}}
{{- end }}

{{/* The rates of single keys by their paths, as JSON. */}}
{{- define "dpd.router.rates" -}}
{{- $rates := dict -}}
{{- range $name, $rate := .Values.router.auth.rateLimits }}{{ $_ := set $rates (printf "rateLimits.%s" $name) $rate }}{{ end -}}
{{ toJson $rates }}
{{- end }}

{{/* How the notes' commands call the router: with its key, in TLS where nothing else is taken. */}}
{{- define "dpd.notes.scheme" -}}
{{ ternary "https" "http" (and (eq (include "dpd.router.enabled" .) "true") (eq .Values.router.tls.mode "strict")) }}
{{- end }}

{{- define "dpd.notes.key" -}}
{{- if and (eq (include "dpd.router.enabled" .) "true") .Values.router.auth.existingSecret }} -H "Authorization: Bearer $KEY"{{ end -}}
{{- end }}
