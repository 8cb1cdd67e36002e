{{/* What NOTES.txt says of the way in from outside, and of SageMaker's API. */}}

{{- define "dpd.notes.edge" -}}
{{- $kind := include "dpd.edge.kind" . -}}
{{- $name := include "dpd.edge.name" . -}}
{{- $namespace := include "dpd.edge.namespace" . -}}
{{- if ne $kind "none" }}

{{ if eq $kind "gateway" }}Clients outside the cluster come through the gateway that takes this route:

  kubectl get httproute {{ $name }} -n {{ $namespace }} -o jsonpath='{.status.parents[*].conditions}{"\n"}'
{{- if eq (include "dpd.edge.backendTls" .) "true" }}

The router takes TLS alone, and a gateway speaks TLS to what is behind it only under a BackendTLSPolicy: make one for the Service
{{ include "dpd.edge.service" . }}, or set router.tls.mode to permissive.
{{- end }}
{{- else }}Clients outside the cluster come through this address, once it is there:

  kubectl get ingress {{ $name }} -n {{ $namespace }} -o jsonpath='{.status.loadBalancer.ingress[0].hostname}{"\n"}'
{{- end }}
{{- if and (eq $kind "alb") (not (.Capabilities.APIVersions.Has "elbv2.k8s.aws/v1beta1")) }}

This cluster has no AWS Load Balancer Controller, and nothing else acts on that Ingress. Set edge.kind to ingress or gateway, or to
none to be without it.
{{- end }}
{{- end }}
{{- if and .Values.endpointName (eq (include "dpd.router.enabled" .) "true") }}

The router serves SageMaker's API for {{ .Values.endpointName }}. AWS knows nothing of it: no endpoint is registered there, and signatures are
not verified.

  boto3.client("sagemaker-runtime", region_name="us-east-1", endpoint_url="http://{{ include "dpd.router.host" . }}:443").invoke_endpoint(
      EndpointName="{{ .Values.endpointName }}", ContentType="application/json", Body=…)
{{- end }}
{{- end }}
