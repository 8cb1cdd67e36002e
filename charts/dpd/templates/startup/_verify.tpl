{{/*
Checks of a worker before and while it starts; the program lies in files/worker. Where an engine could come up without its
transfer and say so only in its log, the pod fails instead. All take {root, facts}.
*/}}

{{/* "true" when there is something to check before the engine starts: a transfer, or EFA. */}}
{{- define "dpd.verify.before" -}}
{{- if and .root.Values.verify.settings (or .facts.pdRole (gt (include "dpd.verify.efa" . | int) 0)) }}true{{ end -}}
{{- end }}

{{/* "true" when more than the engine's health says whether it started: whether LMCache did. */}}
{{- define "dpd.verify.ready" -}}
{{- $probes := .root.Values.worker.probes | default dict -}}
{{- if and .root.Values.verify.ready .facts.lmcache (not $probes.startupProbe) }}true{{ end -}}
{{- end }}

{{/* EFA devices that this role asks for and that must be there. */}}
{{- define "dpd.verify.efa" -}}
{{- $limits := (include "dpd.resources" . | fromJson).limits | default dict -}}
{{ ternary (get $limits "vpc.amazonaws.com/efa" | default 0 | int) 0 .root.Values.verify.devices }}
{{- end }}

{{/* What both checks are told: the role that the pod was drawn as, unless it reads a file of the user's own, and its ranks. */}}
{{- define "dpd.verify.role" -}}
{{- $told := list "--ranks" (int .facts.ranks | toString) -}}
{{- if and .facts.lmcache .facts.pdRole (not (include "dpd.cache.readsOwnFile" .)) }}{{ $told = concat (list "--role" .facts.pdRole) $told }}{{ end -}}
{{ toJson $told }}
{{- end }}

{{- define "dpd.verify.program" -}}
{{ list "python3" "-B" "/etc/dpd-worker/verify.py" | toJson }}
{{- end }}

{{/*
An engine's start-up probe: the health check, and the cache behind it. → JSON. Its time is for three questions of four seconds
at most, and an interpreter's start.
*/}}
{{- define "dpd.verify.probe" -}}
{{- $port := int .root.Values.worker.modelInvocationPort.containerPort -}}
{{- $url := printf "http://127.0.0.1:%d/%s" $port (include "dpd.healthPath" .root | trimPrefix "/") -}}
{{- $told := concat (include "dpd.verify.role" . | fromJsonArray) (list "--url" $url) -}}
{{- dict
  "exec" (dict "command" (concat (include "dpd.verify.program" . | fromJsonArray) (list "ready") $told))
  "periodSeconds" 10
  "timeoutSeconds" 20
  "failureThreshold" 180
| toJson -}}
{{- end }}

{{/* The variables that `verify.py settings` reads, and those by which an interpreter finds its parts. */}}
{{- define "dpd.verify.reads" -}}
LMCACHE_CONFIG_FILE LMCACHE_ENABLE_PD LMCACHE_PD_ROLE LMCACHE_PD_BUFFER_SIZE LMCACHE_NIXL_BACKENDS LMCACHE_PD_PEER_HOST LMCACHE_PD_PEER_INIT_PORT LMCACHE_PD_PEER_ALLOC_PORT FI_PROVIDER PATH PYTHONPATH PYTHONHOME LD_LIBRARY_PATH
{{- end }}

{{/*
Of the worker's variables those, and what $(NAME) in them names, which stands earlier; no secret of the engine's own. A
file of the user's own may lie beside the model, which is not mounted here, so it is not asked for. → JSON list.
*/}}
{{- define "dpd.verify.env" -}}
{{- $wanted := dict -}}
{{- range include "dpd.verify.reads" . | splitList " " }}{{ $_ := set $wanted . true }}{{ end -}}
{{- if include "dpd.cache.readsOwnFile" . }}{{ $_ := unset $wanted "LMCACHE_CONFIG_FILE" }}{{ end -}}
{{- $env := list -}}
{{- range include "dpd.env.all" . | fromJsonArray | reverse -}}
  {{- if hasKey $wanted .name -}}
    {{- $env = prepend $env . -}}
    {{- range regexFindAll "[$][(][^)]+[)]" (.value | default "") -1 }}{{ $_ := set $wanted (trimPrefix "$(" . | trimSuffix ")") true }}{{ end -}}
  {{- end -}}
{{- end -}}
{{ toJson $env }}
{{- end }}

{{- define "dpd.verify.container" -}}
{{- $efa := include "dpd.verify.efa" . | int -}}
{{- $told := concat (include "dpd.verify.role" . | fromJsonArray) (list "--fabric" .root.Values.transfer.fabric) -}}
{{- if $efa }}{{ $told = concat $told (list "--efa" (toString $efa)) }}{{ end -}}
{{- $resources := include "dpd.prefetch.resources" . | fromJson -}}
{{- if $efa -}}
  {{- $devices := dict "vpc.amazonaws.com/efa" (toString $efa) -}}
  {{- $resources = dict
    "limits" (merge (deepCopy ($resources.limits | default dict)) $devices)
    "requests" (merge (deepCopy ($resources.requests | default dict)) $devices) -}}
{{- end -}}
name: verify-worker
image: {{ .root.Values.worker.image | quote }}
command: {{ concat (include "dpd.verify.program" . | fromJsonArray) (list "settings") $told | toJson }}
{{- with include "dpd.verify.env" . | fromJsonArray }}
env: {{ toJson . }}
{{- end }}
{{- with $resources }}
resources: {{ toJson . }}
{{- end }}
# Its last lines, which say what went wrong, are what `kubectl describe pod` shows.
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  {{- include "dpd.security" (dict "own" .root.Values.podSecurity.worker) | nindent 2 }}
volumeMounts:
  {{- include "dpd.verify.mount" . | nindent 2 }}
  {{- if include "dpd.cache.configured" . }}
  - {name: lmcache-config, mountPath: /etc/lmcache, readOnly: true}
  {{- end }}
{{- end }}

{{/* "true" when a pod of this role needs a program of files/worker. */}}
{{- define "dpd.verify.any" -}}
{{- if or (include "dpd.verify.before" .) (include "dpd.verify.ready" .) (include "dpd.drain.waits" .root) }}true{{ end -}}
{{- end }}

{{- define "dpd.verify.volume" -}}
{{- if include "dpd.verify.any" . }}
- name: worker-checks
  configMap: {name: {{ include "dpd.worker.checks" .root }}}
{{- end }}
{{- end }}

{{- define "dpd.verify.mount" -}}
- {name: worker-checks, mountPath: /etc/dpd-worker, readOnly: true}
{{- end }}
