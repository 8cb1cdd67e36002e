{{/*
The revision: what a prefiller and a decoder must have in common for the one to read what the other computed. Both roles'
pods carry it as a label, and the router pairs only equals, so that while pods are replaced old ones go with old ones and
new ones with new ones.

A revision that changes replaces the pods of both roles. So it holds what is the same for both and replaces them anyway
(image, command, environment, model, transfer), and of a role's own arguments all but those that say how much or how fast
it works: a change of those, of a sidecar or of the router leaves the revision as it is.
*/}}

{{/* Flags that have nothing to do with what a token's KV is. One that is not listed counts. */}}
{{- define "dpd.revision.ignored" -}}
{{ list "kv-events-config" "max-num-seqs" "max-num-batched-tokens" "gpu-memory-utilization"
  "enable-prefix-caching" "enable-chunked-prefill" "scheduling-policy" "async-scheduling" "enforce-eager"
  "compilation-config" "cudagraph-capture-sizes" "host" "port" "uvicorn-log-level" "enable-log-requests"
  "disable-log-requests" "disable-log-stats" "disable-uvicorn-access-log" "max-log-len" "api-server-count"
  "shutdown-timeout" "generation-config" "tool-call-parser" "enable-auto-tool-choice" "reasoning-parser" | toJson }}
{{- end }}

{{/* Keys of lmcache.yaml that differ between the roles, or are about one of them. */}}
{{- define "dpd.revision.lmcache" -}}
{{- omit (include "dpd.lmcache.transfer" . | fromJson) "pd_role" "pd_buffer_device" "pd_proxy_host" "pd_proxy_port" "pd_peer_init_port" "pd_peer_alloc_port" | toJson -}}
{{- end }}

{{/* Takes the root → JSON of all that counts. */}}
{{- define "dpd.revision.facts" -}}
{{- $root := . -}}
{{- $ignored := include "dpd.revision.ignored" . | fromJsonArray -}}
{{- $roles := dict -}}
{{- range $role := list "prefill" "decode" -}}
  {{- $facts := include "dpd.role" (dict "root" $root "role" $role) | fromJson -}}
  {{- $args := list -}}
  {{- range include "dpd.role.segments" (dict "root" $root "role" $role) | fromJsonArray -}}
    {{- if not (has .key $ignored) }}{{ $args = append $args . }}{{ end -}}
  {{- end -}}
  {{- $_ := set $roles $role (dict "args" $args "lmcache" (include "dpd.revision.lmcache" (dict "root" $root "facts" $facts))) -}}
{{- end -}}
{{- dict
  "image" .Values.worker.image
  "command" .Values.worker.command
  "env" (include "dpd.env" (dict "root" . "facts" (include "dpd.role" (dict "root" . "role" "decode") | fromJson)))
  "model" .Values.modelSourceConfig
  "connector" .Values.transfer.connector
  "roles" $roles
| toJson -}}
{{- end }}

{{/* The label of a pod, nothing when colocated: there is nobody to pair with. Takes {root, role}. */}}
{{- define "dpd.revision.label" -}}
{{- if has .role (list "prefill" "decode") -}}
inference.sagemaker.aws.amazon.com/dpd-revision: {{ include "dpd.once" (dict "root" .root "helper" "dpd.revision.facts" "with" .root) | sha256sum | trunc 10 | quote }}
{{- end }}
{{- end }}
