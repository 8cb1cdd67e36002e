{{/* Checks of the edge. Take the root. */}}

{{- define "dpd.check.edge" -}}
{{- $kind := include "dpd.edge.kind" . -}}
{{- $gateway := .Values.edge.gateway -}}
{{- if and (eq $kind "gateway") (not (or $gateway.className $gateway.parentRefs)) }}
edge.gateway: names no Gateway, and edge.kind is gateway; set parentRefs to one that is there, or className to have one made
{{- end -}}
{{- if and $gateway.className $gateway.parentRefs }}
edge.gateway.parentRefs: set together with className, which makes a Gateway of its own; keep one of them
{{- end -}}
{{- if and .Values.dnsConfig (not (include "dpd.edge.host" .)) }}
dnsConfig: there is no name to make a record for; set tlsConfig.customCertificateConfig.domainName, or edge.host
{{- end -}}
{{- if and .Values.edge.tls.issuerRef (not .Values.edge.tls.issuerRef.name) }}
edge.tls.issuerRef.name: absent; write the issuer's name, or remove issuerRef to have a self-signed certificate
{{- end -}}
{{- end }}
