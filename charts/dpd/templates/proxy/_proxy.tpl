{{/* The reverse proxy beside every worker: its files and its container. */}}

{{/* Takes the root → the roles whose workers this endpoint has, as a JSON list. */}}
{{- define "dpd.proxy.roles" -}}
{{ ternary (list "prefill" "decode") (list "worker") (not (empty .Values.pdSpec)) | toJson }}
{{- end }}

{{/* Seconds for which an idle connection is kept. Behind a router it is the router's, which no load balancer's limit is about. */}}
{{- define "dpd.proxy.keepAlive" -}}
{{ ternary "75" (include "dpd.edge.keepAlive" . | trim) (eq (include "dpd.router.enabled" .) "true") }}
{{- end }}

{{/* Takes {root, role} → nginx.conf of that role: what is off leaves no trace in it. */}}
{{- define "dpd.proxy.conf" -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.proxy.conf.text" "of" .role "with" .) }}
{{- end }}

{{- define "dpd.proxy.conf.text" -}}
{{- $limits := include "dpd.proxy.limits" . -}}
{{- $capture := include "dpd.capture.settings" . -}}
{{- $parts := list -}}
{{- with $limits }}{{ $parts = append $parts (print "limits = " .) }}{{ end -}}
{{- with $capture }}{{ $parts = append $parts (print "capture = " .) }}{{ end -}}
{{- $facts := dict
  "role" .role
  "port" (int .root.Values.worker.modelInvocationPort.containerPort)
  "keepAlive" (include "dpd.proxy.keepAlive" .root)
  "settings" (ternary (printf "{ %s }" (join ", " $parts)) "{}" (not (empty $parts)))
  "isLimited" (not (empty $limits))
  "copyMemory" (ternary (int .root.Values.capture.memoryMiB) 0 (not (empty $capture))) -}}
{{ include "dpd.proxy.nginx" $facts | trim }}
{{- end }}

{{/* worker.requestLimits as a Lua table; empty when nothing is limited. Takes {root, role}. */}}
{{- define "dpd.proxy.limits" -}}
{{- $limits := .root.Values.worker.requestLimits | default dict -}}
{{- with $limits.maxConcurrentRequests -}}
{ most = {{ int . }}, room = {{ int ($limits.maxQueueSize | default 0) }}, patience = {{ int $.root.Values.proxy.queueSeconds -}}
, status = {{ int ($limits.overflowStatusCode | default 429) }}, transfers = {{ eq $.role "decode" }} }
{{- end -}}
{{- end }}

{{/* Takes {root, role} → the Lua modules that the role's configuration asks for, as a JSON list. */}}
{{- define "dpd.proxy.modules" -}}
{{- $modules := list "metrics" "relay" "unreachable" -}}
{{- if include "dpd.proxy.limits" . }}{{ $modules = append $modules "limits" }}{{ end -}}
{{- if include "dpd.capture.settings" . }}{{ $modules = append $modules "capture" }}{{ end -}}
{{ toJson $modules }}
{{- end }}

{{/* Takes the root → the proxy's files: a configuration for each role, and the Lua of all of them. */}}
{{- define "dpd.proxy.files" -}}
{{- $root := . -}}
{{- $modules := list -}}
{{- range include "dpd.proxy.roles" . | fromJsonArray }}
{{- $each := dict "root" $root "role" . }}
{{- $modules = concat $modules (include "dpd.proxy.modules" $each | fromJsonArray) }}
{{ . }}.conf: |
  {{- include "dpd.proxy.conf" $each | nindent 2 }}
{{- end }}
{{- range $modules | uniq | sortAlpha }}
{{ . }}.lua: |
  {{- $root.Files.Get (printf "files/proxy/%s.lua" .) | trim | nindent 2 }}
{{- end }}
{{- end }}

{{/* Of what this role's proxy reads: another role's change starts no pod anew. Takes {root, facts}. */}}
{{- define "dpd.proxy.checksum" -}}
{{- $each := dict "root" .root "role" .facts.role -}}
{{- $read := include "dpd.proxy.conf" $each -}}
{{- range include "dpd.proxy.modules" $each | fromJsonArray }}
  {{- $read = print $read ($.root.Files.Get (printf "files/proxy/%s.lua" .)) -}}
{{- end -}}
{{ sha256sum $read }}
{{- end }}

{{/* Takes {root, facts}. */}}
{{- define "dpd.container.proxy" -}}
name: sidecar-reverse-proxy
image: {{ include "dpd.image" (dict "image" .root.Values.proxy.image) | quote }}
imagePullPolicy: {{ .root.Values.proxy.image.pullPolicy }}
command: [openresty, -e, stderr, -p, /tmp, -c, /etc/dpd-proxy/{{ .facts.role }}.conf]
ports:
  - {name: proxy, containerPort: 8081}
  - {name: proxy-metrics, containerPort: 9113}
env:
  {{- include "dpd.proxy.env" . | nindent 2 }}
resources: {{ toJson (.root.Values.metricsSidecarResources | default .root.Values.proxy.resources) }}
# Its own health only: whether the engine behind it answers is the engine's probes' business.
readinessProbe:
  httpGet: {path: /healthz, port: proxy-metrics}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: proxy-metrics}
  periodSeconds: 10
  failureThreshold: 6
lifecycle:
  {{- include "dpd.lifecycle" .root | nindent 2 }}
securityContext:
  {{- include "dpd.security" (dict "own" .root.Values.podSecurity.sidecars) | nindent 2 }}
volumeMounts:
  - {name: proxy-config, mountPath: /etc/dpd-proxy, readOnly: true}
  - {name: proxy-tmp, mountPath: /tmp}
{{- end }}

{{/* The labels of the proxy's metrics; an empty one is left out there. */}}
{{- define "dpd.proxy.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: INVOCATION_PATH
  value: {{ include "dpd.router.invocationPath" .root | quote }}
{{- $fixed := include "dpd.metrics.labels" . | fromJson }}
{{- range $name := keys $fixed | sortAlpha }}
- name: METRIC_LABEL_{{ upper $name }}
  value: {{ get $fixed $name | quote }}
{{- end }}
{{- end }}
