{{/*
JSON object of the annotations that external-dns reads: the name it shall make a record for, under the prefix of its releases
before 0.22 and under that of the later ones. No annotation of external-dns names a hosted zone, its operator's
--zone-id-filter does; the zone stands here under a key of our own, for its --annotation-filter.
*/}}
{{- define "dpd.dns.annotations" -}}
{{- $annotations := dict -}}
{{- $host := include "dpd.edge.host" . -}}
{{- if and .Values.dnsConfig $host -}}
{{- range list "external-dns.alpha.kubernetes.io" "external-dns.kubernetes.io" }}{{ $_ := set $annotations (printf "%s/hostname" .) $host }}{{ end -}}
{{- $_ := set $annotations "inference.sagemaker.aws.amazon.com/hosted-zone-id" .Values.dnsConfig.hostedZoneId -}}
{{- end -}}
{{ toJson $annotations }}
{{- end }}
