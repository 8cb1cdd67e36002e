{{/*
The endpoint's certificate inside the cluster: one Secret of type kubernetes.io/tls (tls.crt, tls.key) beside the Service that
clients reach. The router may serve it, an Ingress or a Gateway may end TLS with it.
*/}}

{{/* The Secret's name, always: one of the user's own, or the one that cert-manager fills. */}}
{{- define "dpd.tls.secretName" -}}
{{ .Values.edge.tls.secretName | default (printf "%s-tls" (include "dpd.name.qualified" .)) }}
{{- end }}

{{/* Whether that Secret is there or will be: the user names one, or tlsConfig asks for TLS and cert-manager makes one. */}}
{{- define "dpd.tls.hasSecret" -}}
{{- if or .Values.edge.tls.secretName (eq (include "dpd.tls.managed" .) "true") }}true{{ end -}}
{{- end }}

{{/*
Whether cert-manager is asked for it: tlsConfig is given and no certificate is. A load balancer of AWS brings its own from
ACM, which nobody else can use.
*/}}
{{- define "dpd.tls.managed" -}}
{{- if and .Values.tlsConfig (not .Values.edge.tls.secretName) (not (and (eq (include "dpd.edge.kind" .) "alb") .Values.tlsConfig.customCertificateConfig)) }}true{{ end -}}
{{- end }}

{{/* The issuer, as a Certificate refers to it: the user's, or the chart's own self-signed one. */}}
{{- define "dpd.tls.issuer" -}}
{{- $own := dict "name" (include "dpd.tls.selfSigned" .) "kind" "Issuer" "group" "cert-manager.io" -}}
{{ ternary (mergeOverwrite (dict "kind" "Issuer" "group" "cert-manager.io") (deepCopy (.Values.edge.tls.issuerRef | default dict))) $own (not (empty .Values.edge.tls.issuerRef)) | toYaml }}
{{- end }}

{{- define "dpd.tls.selfSigned" -}}
{{ include "dpd.name.qualified" . }}-self-signed
{{- end }}

{{/*
JSON list of the names that the certificate is for: the host that clients use, then the Service's names. An issuer that is not the
chart's own may not vouch for names of a cluster, so it is asked for them only when there is no other name.
*/}}
{{- define "dpd.tls.names" -}}
{{- $service := include "dpd.edge.service" . -}}
{{- $namespace := include "dpd.edge.namespace" . -}}
{{- $inside := list (printf "%s.%s.svc.%s" $service $namespace .Values.clusterDomain) (printf "%s.%s.svc" $service $namespace) (printf "%s.%s" $service $namespace) $service -}}
{{- $names := concat (list (include "dpd.edge.host" .) | compact) (.Values.edge.tls.dnsNames | default list) -}}
{{- if or (empty .Values.edge.tls.issuerRef) (empty $names) }}{{ $names = concat $names $inside }}{{ end -}}
{{ $names | uniq | toJson }}
{{- end }}
