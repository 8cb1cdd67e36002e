{{/*
What a role implies, one row per role. Everything else about a worker is the same for all of them and lies in _pod.tpl.
*/}}

{{- define "dpd.role.row.prefill" -}}
{{ dict
  "section" "prefillSpec"
  "pdRole" "sender"
  "maxNumSeqs" "16"
  "kvTransfer" (dict
    "kv_connector" "LMCacheConnectorV1"
    "kv_role" "kv_producer"
    "kv_connector_extra_config" (dict "discard_partial_chunks" false "lmcache_rpc_port" "producer1"))
  "nixl" (dict "kv_connector" "NixlConnector" "kv_role" "kv_producer")
| toJson }}
{{- end }}

{{/*
A chunk that the engine's own prefix cache already holds is never read from LMCache's buffer, and stays there for good. Mode B:
the decoder gets the client's own prompt, so no token of it is skipped; a failed load is computed again, for an engine told to
fail never recovers.
*/}}
{{- define "dpd.role.row.decode" -}}
{{ dict
  "section" "decodingSpec"
  "pdRole" "receiver"
  "maxNumSeqs" "32"
  "withLMCache" (list "--no-enable-prefix-caching")
  "kvTransfer" (dict
    "kv_connector" "LMCacheConnectorV1"
    "kv_role" "kv_consumer"
    "kv_load_failure_policy" "recompute"
    "kv_connector_extra_config" (dict "discard_partial_chunks" false "lmcache_rpc_port" "consumer1" "skip_last_n_tokens" 0))
  "nixl" (dict "kv_connector" "NixlConnector" "kv_role" "kv_consumer" "kv_load_failure_policy" "recompute")
| toJson }}
{{- end }}

{{- define "dpd.role.row.worker" -}}
{{ dict
  "kvTransfer" (dict
    "kv_connector" "LMCacheConnectorV1"
    "kv_role" "kv_both"
    "kv_load_failure_policy" "recompute"
    "kv_connector_extra_config" (dict "discard_partial_chunks" false))
| toJson }}
{{- end }}

{{/* Takes {root, role} → JSON of the facts that the worker pod renders from. */}}
{{- define "dpd.role" -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.role.facts" "of" .role "with" .) }}
{{- end }}

{{- define "dpd.role.facts" -}}
{{- $values := .root.Values -}}
{{- $row := include (printf "dpd.role.row.%s" .role) . | fromJson -}}
{{- $spec := ternary (dict) $values (hasKey $row "section") -}}
{{- if hasKey $row "section" }}{{ $spec = get $values.pdSpec $row.section | default dict }}{{ end -}}
{{- $resources := ternary $spec.resources $values.worker.resources (hasKey $row "section") | default dict -}}
{{- $segments := include "dpd.role.segments" . | fromJsonArray -}}
{{- $flags := include "dpd.args.flags" $segments | fromJson -}}
{{- $limits := $resources.limits | default dict -}}
{{- $gpus := 0 -}}
{{- range $key, $count := $limits }}{{ if regexMatch "^nvidia\\.com/(gpu|mig-.+)$" $key }}{{ $gpus = add $gpus (int $count) }}{{ end }}{{ end -}}
{{- dict
  "role" .role
  "name" (include "dpd.workload.name" .)
  "path" (ternary (printf "pdSpec.%s" (get $row "section")) "worker" (hasKey $row "section"))
  "pdRole" (ternary "" (get $row "pdRole") (eq (include "dpd.transfer.nixl" .root) "true"))
  "replicas" (ternary 1 $spec.replicas (kindIs "invalid" $spec.replicas))
  "nodeSelector" (ternary $spec.nodeSelector nil (hasKey $row "section"))
  "args" (include "dpd.args.words" $segments | fromJsonArray)
  "flags" $flags
  "ranks" (get $flags "tensor-parallel-size" | default "1" | int)
  "gpus" $gpus
  "efa" (and (hasKey $row "section") (eq $values.transfer.fabric "efa"))
  "lmcache" (eq (include "dpd.lmcache.enabled" .root) "true")
  "resources" $resources
| toJson -}}
{{- end }}

{{/* Takes {root, role} → JSON list of segments: worker.args <- defaults <- the role's args <- what the role implies. */}}
{{- define "dpd.role.segments" -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.role.segments.list" "of" .role "with" .) }}
{{- end }}

{{- define "dpd.role.segments.list" -}}
{{- $row := include (printf "dpd.role.row.%s" .role) . | fromJson -}}
{{- $segments := include "dpd.worker.segments" .root | fromJsonArray -}}
{{- if hasKey $row "section" -}}
  {{- $own := include "dpd.args.own" (dict "root" .root "section" $row.section) | fromJsonArray -}}
  {{- $segments = include "dpd.args.merge" (dict "base" $segments "over" $own) | fromJsonArray -}}
{{- end -}}
{{- if and $row.maxNumSeqs (not (include "dpd.args.has" (dict "segments" $segments "key" "max-num-seqs"))) -}}
  {{- $segments = append $segments (dict "key" "max-num-seqs" "words" (list "--max-num-seqs" $row.maxNumSeqs)) -}}
{{- end -}}
{{- $implied := ternary list ($row.withLMCache | default list) (eq (include "dpd.transfer.nixl" .root) "true") -}}
{{- $engine := include "dpd.transfer.engine" (dict "root" .root "row" $row) -}}
{{- if ne $engine "null" }}{{ $implied = concat $implied (list "--kv-transfer-config" $engine) }}{{ end -}}
{{- $implied = concat $implied (include "dpd.routing.args" . | fromJsonArray) -}}
{{- $source := include "dpd.model.args" (dict "root" .root "segments" $segments) | fromJsonArray -}}
{{- range list $source $implied -}}
  {{- $segments = include "dpd.args.merge" (dict "base" $segments "over" (include "dpd.args.segments" . | fromJsonArray)) | fromJsonArray -}}
{{- end -}}
{{ toJson $segments }}
{{- end }}

{{/* Everything one role needs: its Deployment, its headless Service, its LMCache ConfigMap. Takes {root, role}. */}}
{{- define "dpd.role.manifests" -}}
{{- $context := dict "root" .root "facts" (include "dpd.role" . | fromJson) -}}
{{ include "dpd.deployment" $context }}
---
{{ include "dpd.service" $context }}
{{- if include "dpd.cache.configured" $context }}
---
{{ include "dpd.lmcache.configMap" $context }}
{{- end }}
{{- end }}
