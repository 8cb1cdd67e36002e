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
{{- $port := int .root.Values.worker.modelInvocationPort.containerPort -}}
{{- $get := printf "httpGet: {path: %s, port: %d}" (include "dpd.healthPath" .root | quote) $port -}}
startupProbe:
{{- if $own.startupProbe }}
  {{- toYaml $own.startupProbe | nindent 2 }}
{{- else if include "dpd.verify.ready" . }}
  {{- include "dpd.verify.probe" . | nindent 2 }}
{{- else }}
  {{ $get }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 180
{{- end }}
readinessProbe:
{{- if $own.readinessProbe }}
  {{- toYaml $own.readinessProbe | nindent 2 }}
{{- else }}
  {{ $get }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}
livenessProbe:
{{- if $own.livenessProbe }}
  {{- toYaml $own.livenessProbe | nindent 2 }}
{{- else }}
  {{ $get }}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}
{{- end }}

{{/*
Takes {own, add}: what podSecurity says for this container, over what every container starts from. Where it says nothing,
that text is not read and written again: it stands in every container.
*/}}
{{- define "dpd.security" -}}
{{- if or .own .add -}}
{{- $base := include "dpd.security.base" . | fromYaml -}}
{{- if .add }}{{ $_ := set $base.capabilities "add" .add }}{{ end -}}
{{ mergeOverwrite $base (deepCopy (.own | default dict)) | toYaml }}
{{- else -}}
{{ include "dpd.security.base" . }}
{{- end -}}
{{- end }}

{{- define "dpd.security.base" -}}
allowPrivilegeEscalation: false
capabilities:
  drop:
  - ALL
readOnlyRootFilesystem: true
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}
