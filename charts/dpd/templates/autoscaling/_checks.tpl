{{/* Checks of everything that scales: what KEDA or the API server would refuse, or would do without ever scaling. */}}

{{- define "dpd.check.autoscaling" -}}
{{- with .Values.autoscaling.aws -}}
{{- if and (eq .identityOwner "workload") .roleArn (not (.authenticationRef | default dict).name) }}
autoscaling.aws.roleArn: set beside identityOwner workload, and KEDA assumes a role in its own name only; empty one of them
{{- end -}}
{{- end -}}
{{- range $role, $path := include "dpd.autoscaling.places" . | fromJson -}}
{{- $place := include "dpd.autoscaling" (dict "root" $ "role" $role) | fromJson -}}
{{- if $place -}}
{{- $context := dict "root" $ "place" $place "path" $path -}}
{{- include "dpd.check.autoscaling.bounds" $context -}}
{{- if $place.default }}{{ include "dpd.check.autoscaling.defaults" $context }}{{ end -}}
{{- $names := dict -}}
{{- range $place.given -}}
{{- include "dpd.check.autoscaling.trigger" (dict "root" $ "given" .) -}}
{{- with .trigger.name -}}
{{- if hasKey $names . }}
{{ $path }}: two triggers are named {{ . | quote }}; name them apart
{{- end -}}
{{- $_ := set $names . true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "dpd.check.autoscaling.bounds" -}}
{{- $place := .place -}}
{{- $path := .path -}}
{{- if lt (int $place.max) 1 }}
{{ $path }}.maxReplicaCount: 0, so that nothing would ever run; write 1 or more
{{- else if gt (int $place.min) (int $place.max) }}
{{ $path }}.minReplicaCount: {{ int $place.min }} is more than maxReplicaCount, {{ int $place.max }}; lower it, or raise the other
{{- end -}}
{{- range list "scaleDownStabilizationTime" "scaleUpStabilizationTime" -}}
{{- if gt (int (get $place.spec .)) 3600 }}
{{ $path }}.{{ . }}: {{ int (get $place.spec .) }}, and Kubernetes takes at most 3600 seconds; lower it
{{- end -}}
{{- end -}}
{{- if gt (len $place.name) 63 }}
{{ $path }}: the autoscaler's name {{ $place.name | quote }} has {{ len $place.name }} characters, and KEDA takes 63; shorten the endpoint's name
{{- end -}}
{{- end }}

{{- define "dpd.check.autoscaling.trigger" -}}
{{- $trigger := .given.trigger -}}
{{- $path := .given.path -}}
{{- if le (float64 $trigger.targetValue) 0.0 }}
{{ $path }}.targetValue: {{ $trigger.targetValue }}, and replicas are counted by dividing by it; write a number above 0
{{- end -}}
{{- if eq .given.kind "cloudWatchTrigger" }}
{{ include "dpd.check.autoscaling.cloudWatch" . }}
{{- else if not ($trigger.serverAddress | default .root.Values.autoscaling.prometheus.serverAddress) }}
{{ $path }}.serverAddress: empty, and so is autoscaling.prometheus.serverAddress; set one of them
{{- end -}}
{{- end }}

{{- define "dpd.check.autoscaling.cloudWatch" -}}
{{- $trigger := .given.trigger -}}
{{- $path := .given.path -}}
{{- if not $trigger.namespace }}
{{ $path }}.namespace: absent, and CloudWatch keeps metrics by namespace; add it
{{- end -}}
{{- if not $trigger.dimensions }}
{{ $path }}.dimensions: absent, and KEDA finds a CloudWatch metric by its dimensions; add at least one
{{- end -}}
{{- range $index, $dimension := $trigger.dimensions -}}
{{- range $key := list "name" "value" -}}
{{- if contains ";" (get $dimension $key) }}
{{ $path }}.dimensions[{{ $index }}].{{ $key }}: {{ get $dimension $key | quote }} has a semicolon, with which KEDA parts dimensions; use another metric
{{- end -}}
{{- end -}}
{{- end -}}
{{- $period := int ($trigger.metricCollectionPeriod | default 300) -}}
{{- $window := int ($trigger.metricCollectionStartTime | default 300) -}}
{{- if not (or (has $period (list 1 5 10 30)) (and (ge $period 60) (eq (mod $period 60) 0))) }}
{{ $path }}.metricCollectionPeriod: {{ $period }}, and CloudWatch takes 1, 5, 10, 30 or a multiple of 60 seconds; write one of these
{{- else if or (lt $window 0) (ne (mod $window $period) 0) }}
{{ $path }}.metricCollectionStartTime: {{ $window }} is no multiple of metricCollectionPeriod, {{ $period }}; make it one
{{- end -}}
{{- if not (include "dpd.autoscaling.region" .root) }}
{{ $path }}: no AWS region is known to ask CloudWatch in; set autoscaling.aws.region
{{- end -}}
{{- end }}

{{/* The defaults of a workload that is given bounds only. */}}
{{- define "dpd.check.autoscaling.defaults" -}}
{{- if eq .place.role "router" -}}
{{- if lt (int .place.min) 1 }}
{{ .path }}.minReplicaCount: 0, and a router without a trigger of yours scales on CPU, which nobody uses when none runs; write 1 or more
{{- end -}}
{{- if not ((.root.Values.router.resources | default dict).requests | default dict).cpu }}
router.resources.requests.cpu: absent, and the router scales on its share of it; add it, or give {{ .path }} a trigger
{{- end -}}
{{- else -}}
{{- if not .root.Values.autoscaling.prometheus.serverAddress }}
autoscaling.prometheus.serverAddress: empty, and {{ .path }} has bounds and no trigger, so the engines' own metrics are asked there; set it, or add a trigger
{{- end -}}
{{- if ne (include "dpd.metrics.enabled" .root) "true" }}
{{ .path }}: has no trigger, and metrics.enabled is false, so there is nothing to scale on; add a trigger, or turn metrics on
{{- end -}}
{{- if lt (int .place.min) 1 }}
{{ .path }}.minReplicaCount: 0, and without a trigger of yours the engines' own metrics decide, which are gone with the last of them; write 1 or more, or add a trigger
{{- end -}}
{{- end -}}
{{- end }}
