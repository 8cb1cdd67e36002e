{{/* Parts of a container: resources, probes, security context. */}}

{{/*
The role's resources and, on EFA, its share of the node's interfaces and its huge pages. Kubernetes refuses huge pages
without a cpu or memory request beside them, so a role that names neither asks for one core per GPU. Takes {root, facts} → JSON,
as other parts of a pod are that would be YAML in YAML: Helm writes YAML a dozen times slower.
*/}}
{{- define "dpd.resources" -}}
{{- $resources := deepCopy .facts.resources -}}
{{- if .facts.efa -}}
  {{- $instance := .root.Values.instance | default dict -}}
  {{- $share := max 1 (div (mul (int $instance.efaInterfaces) (int .facts.gpus)) (max 1 (int $instance.gpus))) -}}
  {{- $devices := dict "vpc.amazonaws.com/efa" (toString $share) -}}
  {{- with $instance.hugepages2Mi }}{{ $_ := set $devices "hugepages-2Mi" . }}{{ end -}}
  {{- $limits := merge ($resources.limits | default dict) $devices -}}
  {{- $requests := merge ($resources.requests | default dict) (pick $limits "vpc.amazonaws.com/efa" "hugepages-2Mi") -}}
  {{- if not (or (hasKey $requests "cpu") (hasKey $requests "memory") (hasKey $limits "cpu") (hasKey $limits "memory")) -}}
    {{- $_ := set $requests "cpu" (toString .facts.gpus) -}}
  {{- end -}}
  {{- $_ := set $resources "limits" $limits -}}
  {{- $_ := set $resources "requests" $requests -}}
{{- end -}}
{{ toJson $resources }}
{{- end }}

{{/* The contract's default is /ping, which vLLM answers as it answers /health. */}}
{{- define "dpd.healthPath" -}}
{{ (.Values.loadBalancer | default dict).healthCheckPath | default "/ping" }}
{{- end }}

{{/*
The user's probes word for word; else the health path, which never starts a generation, and at first the cache behind it.
Takes {root, facts}.
*/}}
{{- define "dpd.probes" -}}
{{- $own := .root.Values.worker.probes | default dict -}}
{{- $get := dict "path" (include "dpd.healthPath" .root) "port" (int .root.Values.worker.modelInvocationPort.containerPort) -}}
{{- $defaults := dict
  "startupProbe" (dict "httpGet" $get "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 180)
  "readinessProbe" (dict "httpGet" $get "periodSeconds" 5 "timeoutSeconds" 5 "failureThreshold" 3)
  "livenessProbe" (dict "httpGet" $get "periodSeconds" 10 "timeoutSeconds" 10 "failureThreshold" 6) -}}
{{- if include "dpd.verify.ready" . }}{{ $_ := set $defaults "startupProbe" (include "dpd.verify.probe" . | fromJson) }}{{ end -}}
{{- range $name := list "startupProbe" "readinessProbe" "livenessProbe" }}
{{ $name }}: {{ get $own $name | default (get $defaults $name) | toJson }}
{{- end }}
{{- end }}

{{/* Takes {own, add}: what podSecurity says for this container, over what every container starts from. → JSON. */}}
{{- define "dpd.security" -}}
{{- $capabilities := dict "drop" (list "ALL") -}}
{{- if .add }}{{ $_ := set $capabilities "add" .add }}{{ end -}}
{{- $base := dict
  "runAsNonRoot" true
  "runAsUser" 65532
  "runAsGroup" 65532
  "readOnlyRootFilesystem" true
  "allowPrivilegeEscalation" false
  "capabilities" $capabilities
  "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{ mergeOverwrite $base (deepCopy (.own | default dict)) | toJson }}
{{- end }}
