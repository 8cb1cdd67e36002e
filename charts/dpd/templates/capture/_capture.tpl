{{/*
dataCapture. The pod's tier is this chart's: proxies copy invocations to an uploader beside them, which stores them in S3. The load
balancer's tier is an attribute of the load balancer, see edge/_ingress.tpl; the SageMaker endpoint's is SageMaker's.
*/}}

{{/* The section of the pods' tier when it is on, as JSON; empty when it is off. */}}
{{- define "dpd.capture.pod" -}}
{{- $pod := (.Values.dataCapture | default dict).modelPod | default dict -}}
{{- if $pod.enabled }}{{ toJson $pod }}{{ end -}}
{{- end }}

{{/*
Where copies are made: where clients' own requests are answered. A prefiller's are the router's, of one token each. Takes {root,
role}.
*/}}
{{- define "dpd.capture.on" -}}
{{- if and (ne .role "prefill") (include "dpd.capture.pod" .root) }}true{{ end -}}
{{- end }}

{{/* What the proxy copies, as a Lua table; empty when it copies nothing. Takes {root, role}. */}}
{{- define "dpd.capture.settings" -}}
{{- if include "dpd.capture.on" . -}}
{{- $pod := include "dpd.capture.pod" .root | fromJson -}}
{{- $modes := list -}}
{{- range $pod.captureOptions }}{{ $modes = append $modes .captureMode }}{{ end -}}
{{- $share := ternary 100 (int $pod.initialSamplingPercentage) (kindIs "invalid" $pod.initialSamplingPercentage) -}}
{{- $most := mul 1024 (int ($pod.payloadConfig | default dict).maxPayloadSizeKB) -}}
{ share = {{ $share }}, input = {{ or (not $modes) (has "Input" $modes) }}, output = {{ or (not $modes) (has "Output" $modes) -}}
, most = {{ $most }}, memory = {{ int .root.Values.capture.memoryMiB }} * 1048576, socket = "unix:/tmp/capture.sock" }
{{- end -}}
{{- end }}

{{/* s3Uri, or on HyperPod's terms the bucket of the certificates: without a slash at its end; empty when neither is given. */}}
{{- define "dpd.capture.uri" -}}
{{- $own := (.Values.dataCapture | default dict).s3Uri | default "" -}}
{{- $certificates := (.Values.tlsConfig | default dict).tlsCertificateOutputS3Uri | default "" -}}
{{- if $own -}}
{{ trimSuffix "/" $own }}
{{- else if $certificates -}}
{{ regexFind "^s3://[^/]+" $certificates }}/data-capture
{{- end -}}
{{- end }}

{{/* One folder for each endpoint, always the same one. */}}
{{- define "dpd.capture.folder" -}}
{{ .Values.capture.folder | default (printf "%s/InferenceEndpointConfig/%s" (include "dpd.namespace" .) (include "dpd.name" .) | sha256sum | trunc 16) }}
{{- end }}

{{/* Attributes of an AWS load balancer that stores its access logs, with a comma before them; empty when it stores none. */}}
{{- define "dpd.capture.balancer" -}}
{{- $tier := (.Values.dataCapture | default dict).loadBalancer | default dict -}}
{{- if $tier.enabled -}}
{{- $place := include "dpd.capture.uri" . | trimPrefix "s3://" -}}
{{- $bucket := regexFind "^[^/]*" $place -}}
{{- $prefix := list (trimPrefix $bucket $place | trimAll "/") (include "dpd.capture.folder" .) "alb" | compact | join "/" -}}
,access_logs.s3.enabled=true,access_logs.s3.bucket={{ $bucket }},access_logs.s3.prefix={{ $prefix }}
{{- end -}}
{{- end }}

{{- define "dpd.check.capture" -}}
{{- if and (or (include "dpd.capture.pod" .) (include "dpd.capture.balancer" .)) (not (include "dpd.capture.uri" .)) }}
dataCapture.s3Uri: absent, and there is no tlsConfig.tlsCertificateOutputS3Uri whose bucket would be taken; add it
{{- end -}}
{{- end }}
