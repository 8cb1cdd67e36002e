{{/* KEDA's triggers: what a manifest's trigger becomes. KEDA reads every value of `metadata` as text. */}}

{{/* Takes {root, place} → JSON list of KEDA triggers. */}}
{{- define "dpd.autoscaling.triggers" -}}
{{- $root := .root -}}
{{- $place := .place -}}
{{- if $place.default -}}
{{ include "dpd.autoscaling.defaults" . }}
{{- else -}}
{{- $triggers := list -}}
{{- range $place.given -}}
  {{- $helper := ternary "dpd.autoscaling.cloudWatch" "dpd.autoscaling.prometheus" (eq .kind "cloudWatchTrigger") -}}
  {{- $trigger := include $helper (dict "root" $root "place" $place "trigger" .trigger) | fromJson -}}
  {{- with .trigger.name }}{{ $_ := set $trigger "name" . }}{{ end -}}
  {{- $_ := set $trigger "metricType" (ternary "Value" "AverageValue" (eq (.trigger.metricType | default "Average") "Value")) -}}
  {{- $_ := set $trigger "useCachedMetrics" (ne (get .trigger "useCachedMetrics" | toString) "false") -}}
  {{- $triggers = append $triggers $trigger -}}
{{- end -}}
{{ toJson $triggers }}
{{- end -}}
{{- end }}

{{/* Takes {root, place, trigger} → JSON. Several dimensions travel as one text, with semicolons between. */}}
{{- define "dpd.autoscaling.cloudWatch" -}}
{{- $names := list -}}
{{- $values := list -}}
{{- range .trigger.dimensions }}{{ $names = append $names .name }}{{ $values = append $values .value }}{{ end -}}
{{- $metadata := dict
  "namespace" (.trigger.namespace | default "")
  "metricName" .trigger.metricName
  "dimensionName" (join ";" $names)
  "dimensionValue" (join ";" $values)
  "targetMetricValue" (toString .trigger.targetValue)
  "activationTargetMetricValue" (toString (.trigger.activationTargetValue | default 0))
  "minMetricValue" (toString (.trigger.minValue | default 0))
  "metricStat" (.trigger.metricStat | default "Average")
  "metricStatPeriod" (toString (int (.trigger.metricCollectionPeriod | default 300)))
  "metricCollectionTime" (toString (int (.trigger.metricCollectionStartTime | default 300)))
  "awsRegion" (include "dpd.autoscaling.region" .root) -}}
{{- dict "type" "aws-cloudwatch" "metadata" $metadata "authenticationRef" (include "dpd.autoscaling.aws" . | fromJson) | toJson -}}
{{- end }}

{{/* Takes {root, place, trigger} → JSON. A trigger without a server asks the one of the values. */}}
{{- define "dpd.autoscaling.prometheus" -}}
{{- $server := .trigger.serverAddress | default .root.Values.autoscaling.prometheus.serverAddress -}}
{{- $metadata := dict
  "serverAddress" $server
  "query" .trigger.query
  "threshold" (toString .trigger.targetValue)
  "activationThreshold" (toString (.trigger.activationTargetValue | default 0)) -}}
{{- with .trigger.namespace }}{{ $_ := set $metadata "namespace" . }}{{ end -}}
{{- with .trigger.customHeaders }}{{ $_ := set $metadata "customHeaders" . }}{{ end -}}
{{- $trigger := dict "type" "prometheus" "metadata" $metadata -}}
{{- $amp := include "dpd.autoscaling.ampRegion" $server -}}
{{- if $amp -}}
  {{- $_ := set $metadata "awsRegion" $amp -}}
  {{- $_ := set $trigger "authenticationRef" (include "dpd.autoscaling.aws" . | fromJson) -}}
{{- else if (.root.Values.autoscaling.prometheus.authenticationRef | default dict).name -}}
  {{- $_ := set $trigger "authenticationRef" .root.Values.autoscaling.prometheus.authenticationRef -}}
{{- end -}}
{{ toJson $trigger }}
{{- end }}

{{/* The region in the address of an Amazon Managed Prometheus workspace, whose requests must be signed; else nothing. */}}
{{- define "dpd.autoscaling.ampRegion" -}}
{{- if regexMatch "^https://aps-workspaces\\.[a-z0-9-]+\\." . }}{{ index (splitList "." .) 1 }}{{ end -}}
{{- end }}

{{/* Where CloudWatch is asked: the values' region, else the bucket's. */}}
{{- define "dpd.autoscaling.region" -}}
{{ .Values.autoscaling.aws.region | default ((.Values.modelSourceConfig.s3Storage | default dict).region | default "") }}
{{- end }}

{{/* Takes {root, place} → JSON: who KEDA is for AWS: the values' TriggerAuthentication, else the chart's own. */}}
{{- define "dpd.autoscaling.aws" -}}
{{- $own := .root.Values.autoscaling.aws.authenticationRef | default dict -}}
{{- $default := dict "name" (include "dpd.autoscaling.authentication" (dict "root" .root "role" .place.role)) -}}
{{ ternary $own $default (not (empty $own.name)) | toJson }}
{{- end }}

{{/* A TriggerAuthentication serves one namespace: the router's may be another. Takes {root, role}. */}}
{{- define "dpd.autoscaling.authentication" -}}
{{ if eq .role "router" }}{{ include "dpd.name.qualified" .root }}{{ else }}{{ include "dpd.name" .root }}{{ end }}-keda-aws
{{- end }}
