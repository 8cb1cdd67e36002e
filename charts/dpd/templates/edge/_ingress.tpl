{{/* What the controllers of an Ingress are told. Values of annotations are strings. */}}

{{/*
For the AWS Load Balancer Controller, as JSON. Pods are its targets, so that nothing stands between it and the router; one that
stops is sent nothing new and keeps what it has for its grace period.
*/}}
{{- define "dpd.edge.alb" -}}
{{- $balancer := .Values.loadBalancer | default dict -}}
{{- $prefix := "alb.ingress.kubernetes.io" -}}
{{- $attributes := list
  (printf "deregistration_delay.timeout_seconds=%d" (min 3600 (int .Values.terminationGracePeriodSeconds) | int))
  (printf "load_balancing.algorithm.type=%s" ($balancer.routingAlgorithm | default "least_outstanding_requests")) -}}
{{- $own := dict
  (printf "%s/scheme" $prefix) .Values.edge.alb.scheme
  (printf "%s/target-type" $prefix) "ip"
  (printf "%s/backend-protocol" $prefix) (ternary "HTTPS" "HTTP" (eq (include "dpd.edge.backendTls" .) "true"))
  (printf "%s/healthcheck-protocol" $prefix) (ternary "HTTPS" "HTTP" (eq (include "dpd.edge.backendTls" .) "true"))
  (printf "%s/healthcheck-path" $prefix) (include "dpd.edge.healthPath" .)
  (printf "%s/success-codes" $prefix) "200"
  (printf "%s/target-group-attributes" $prefix) (join "," $attributes)
  (printf "%s/load-balancer-attributes" $prefix) (printf "idle_timeout.timeout_seconds=%d%s" (int ($balancer.idleTimeoutSeconds | default 60)) (include "dpd.capture.balancer" .)) -}}
{{- with ((.Values.tlsConfig | default dict).customCertificateConfig | default dict).acmArn -}}
{{- $_ := set $own (printf "%s/certificate-arn" $prefix) . -}}
{{- $_ := set $own (printf "%s/listen-ports" $prefix) (toJson (list (dict "HTTP" 80) (dict "HTTPS" 443))) -}}
{{- $_ := set $own (printf "%s/ssl-redirect" $prefix) "443" -}}
{{- else -}}
{{- $_ := set $own (printf "%s/listen-ports" $prefix) (toJson (list (dict "HTTP" 80))) -}}
{{- end -}}
{{- with .Values.edge.alb.group }}{{ $_ := set $own (printf "%s/group.name" $prefix) . }}{{ end -}}
{{- with include "dpd.edge.albTags" . }}{{ $_ := set $own (printf "%s/tags" $prefix) . }}{{ end -}}
{{ toJson $own }}
{{- end }}

{{/* The manifest's tags as tags of the load balancer, without those that its annotation cannot hold. */}}
{{- define "dpd.edge.albTags" -}}
{{- $tags := list -}}
{{- range .Values.tags -}}
{{- if and (not (regexMatch "[,=]" (print .name .value))) (not (hasPrefix "aws:" .name)) }}{{ $tags = append $tags (printf "%s=%s" .name .value) }}{{ end -}}
{{- end -}}
{{ join "," $tags }}
{{- end }}

{{/*
For a plain class, as JSON: what ingress-nginx has to be told of long prompts and of answers that stream. Other controllers
pass over these and need none, or have theirs in edge.annotations.
*/}}
{{- define "dpd.edge.plain" -}}
{{- $balancer := .Values.loadBalancer | default dict -}}
{{- $prefix := "nginx.ingress.kubernetes.io" -}}
{{- $idle := int ($balancer.idleTimeoutSeconds | default 3600) | toString -}}
{{- $own := dict
  (printf "%s/proxy-body-size" $prefix) "0"
  (printf "%s/proxy-buffering" $prefix) "off"
  (printf "%s/proxy-request-buffering" $prefix) "off"
  (printf "%s/proxy-read-timeout" $prefix) $idle
  (printf "%s/proxy-send-timeout" $prefix) $idle
  (printf "%s/proxy-next-upstream" $prefix) "off"
  (printf "%s/load-balance" $prefix) (ternary "round_robin" "ewma" (eq ($balancer.routingAlgorithm | default "") "round_robin")) -}}
{{- if eq (include "dpd.edge.backendTls" .) "true" }}{{ $_ := set $own (printf "%s/backend-protocol" $prefix) "HTTPS" }}{{ end -}}
{{ toJson $own }}
{{- end }}
