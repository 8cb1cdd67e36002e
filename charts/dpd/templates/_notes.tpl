{{/* What NOTES.txt says beside commands. */}}

{{/*
Fields of the contract that these values hold and that nothing is drawn for, one line each. The rows are generated from the
ledger of fields; a path into a list is looked at as far as the list.
*/}}
{{- define "dpd.notDrawn" -}}
{{- range .Files.Get "files/ledger.json" | fromJsonArray -}}
{{- $held := $.Values -}}
{{- $path := list -}}
{{- range $step := .path -}}
{{- if kindIs "map" $held }}{{ $held = get $held $step | default nil }}{{ $path = append $path $step }}{{ end -}}
{{- end -}}
{{- if not (or (kindIs "invalid" $held) (has $held .unless)) }}
  {{ join "." $path }}: {{ trimPrefix "accepted, " .fact }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What is legal and unwise, one line each. */}}
{{- define "dpd.notes.warnings" -}}
{{- include "dpd.notes.secrets" . -}}
{{- if .Values.pdSpec -}}
{{- $decode := include "dpd.role" (dict "root" . "role" "decode") | fromJson -}}
{{- $ranks := int $decode.ranks -}}
{{- if not (has (get $decode.flags "data-parallel-size") (list "" "1")) }}
  --data-parallel-size: copies of one engine in a pod share its transfer ports, and only the first gets them; raise replicas
{{- end -}}
{{- if and (eq (include "dpd.transfer.lmcache" .) "true") (not .Values.transfer.pagesPerDecoder) }}
{{- $known := include "dpd.autoscaling.buffer" . }}
  transfer.pagesPerDecoder: absent, {{ ternary "so a router sends each decoder one long prompt at a time until that has shown in its metrics what a page takes" "and PD_BUFFER_SIZE is no plain number, so routers cannot tell when a decoder's buffer is full, and a full one wedges prefillers" (ne $known "") }}; set it to floor(PD_BUFFER_SIZE / (layers x 2 x 256 x kv_heads / {{ $ranks }} x head_dim x bytes of a value)) with your model's numbers: Llama 3.3 70B at tensor-parallel size 8 and 8 GiB has floor(8589934592 / (80 x 2 x 256 x 8 / 8 x 128 x 2)) = 819
{{- end -}}
{{- end -}}
{{- end }}

{{/* The model's name in a request: --served-model-name's first, --model's, or the words that stand for it. */}}
{{- define "dpd.notes.model" -}}
{{- $flags := (include "dpd.role" (dict "root" . "role" (ternary "decode" "worker" (not (empty .Values.pdSpec)))) | fromJson).flags -}}
{{ get $flags "served-model-name" | default (get $flags "model") | default (include "dpd.model.path" .) }}
{{- end }}
