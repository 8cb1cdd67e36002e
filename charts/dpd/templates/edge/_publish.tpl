{{/* The certificate in a bucket, for clients to trust: tlsConfig.tlsCertificateOutputS3Uri. Take the root. */}}

{{- define "dpd.publish.enabled" -}}
{{- if and (.Values.tlsConfig | default dict).tlsCertificateOutputS3Uri (eq (include "dpd.tls.hasSecret" .) "true") }}true{{ end -}}
{{- end }}

{{/* A CronJob's name has 52 characters at most. */}}
{{- define "dpd.publish.name" -}}
{{- $name := printf "%s-tls" (include "dpd.name.qualified" .) -}}
{{- if gt (len $name) 52 -}}
{{ printf "%s-%s" (trunc 43 $name) (sha256sum $name | trunc 8) }}
{{- else -}}
{{ $name }}
{{- end -}}
{{- end }}

{{/* The object: what the URI says when it names a .pem, else one below it that no other endpoint has. */}}
{{- define "dpd.publish.target" -}}
{{- $uri := trimSuffix "/" .Values.tlsConfig.tlsCertificateOutputS3Uri -}}
{{ ternary $uri (printf "%s/%s.pem" $uri (include "dpd.name.qualified" .)) (hasSuffix ".pem" $uri) }}
{{- end }}

{{- define "dpd.publish.command" -}}
{{- $output := .Values.edge.tls.output -}}
{{- $command := list "python3" "-B" "-u" "/etc/dpd-certificate/publish_certificate.py" "/certificate/tls.crt" (include "dpd.publish.target" .) -}}
{{- with $output.region | default (.Values.modelSourceConfig.s3Storage | default dict).region }}{{ $command = concat $command (list "--region" .) }}{{ end -}}
{{- with $output.endpoint }}{{ $command = concat $command (list "--endpoint" .) }}{{ end -}}
{{ toJson $command }}
{{- end }}
