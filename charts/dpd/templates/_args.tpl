{{/*
Arguments of the engine: lists of words become segments (a flag and the words that follow it), segments are merged.
Results travel as JSON, for a template can return nothing but text.
*/}}

{{/* vLLM's short flags and the long ones they stand for. */}}
{{- define "dpd.args.aliases" -}}
ac: attention-config
asc: api-server-count
cc: compilation-config
dcp: decode-context-parallel-size
dp: data-parallel-size
dpa: data-parallel-address
dpb: data-parallel-backend
dpe: data-parallel-external-lb
dph: data-parallel-hybrid-lb
dpl: data-parallel-size-local
dpn: data-parallel-rank
dpp: data-parallel-rpc-port
dpr: data-parallel-start-rank
ep: enable-expert-parallel
"n": nnodes
O: optimization-level
pcp: prefill-context-parallel-size
pp: pipeline-parallel-size
q: quantization
r: node-rank
sc: speculative-config
tp: tensor-parallel-size
{{- end }}

{{/* The one name of a flag: --no-max_num_seqs=3, --max-num-seqs and --max_num_seqs are all max-num-seqs. */}}
{{- define "dpd.args.key" -}}
{{- $word := splitList "=" . | first | replace "\n" " " -}}
{{- if hasPrefix "--" $word -}}
{{ $word | trimPrefix "--" | replace "_" "-" | trimPrefix "no-" }}
{{- else -}}
{{- $short := ternary "O" (trimPrefix "-" $word) (hasPrefix "-O" $word) -}}
{{ get (include "dpd.args.aliases" . | fromYaml) $short | default $short }}
{{- end }}
{{- end }}

{{/*
A list of words → JSON list of {key, words}. Words before the first flag have the key ""; -1, -.5 and {"json": 1} are values
and no flags.
*/}}
{{- define "dpd.args.segments" -}}
{{- $segments := list -}}
{{- $key := "" -}}
{{- $words := list -}}
{{- range . -}}
  {{- if and (hasPrefix "-" .) (regexMatch "^--?[A-Za-z]" .) -}}
    {{- if $words }}{{ $segments = append $segments (dict "key" $key "words" $words) }}{{ end -}}
    {{- $key = include "dpd.args.key" . -}}
    {{- $words = list . -}}
  {{- else -}}
    {{- $words = append $words . -}}
  {{- end -}}
{{- end -}}
{{- if $words }}{{ $segments = append $segments (dict "key" $key "words" $words) }}{{ end -}}
{{ toJson $segments }}
{{- end }}

{{/* Segments → JSON list of their words. */}}
{{- define "dpd.args.words" -}}
{{- $words := list -}}
{{- range . }}{{ $words = concat $words .words }}{{ end -}}
{{ toJson $words }}
{{- end }}

{{/*
Takes {base, over}, two lists of segments → JSON list of segments. Each flag of `over` replaces every occurrence of that
flag in `base`, where the first one stood; flags that `base` lacks follow at the end. Words without a flag stay in front.
*/}}
{{- define "dpd.args.merge" -}}
{{- if .over }}{{ include "dpd.args.merged" . }}{{ else }}{{ toJson .base }}{{ end -}}
{{- end }}

{{- define "dpd.args.merged" -}}
{{- $replacing := dict -}}
{{- range .over }}{{ $_ := set $replacing .key (append (get $replacing .key | default list) .) }}{{ end -}}
{{- $merged := list -}}
{{- $seen := dict -}}
{{- if and (hasKey $replacing "") (not (and .base (not (first .base).key))) -}}
  {{- $merged = get $replacing "" -}}
  {{- $_ := set $seen "" true -}}
{{- end -}}
{{- range .base -}}
  {{- if not (hasKey $replacing .key) -}}
    {{- $merged = append $merged . -}}
  {{- else if not (hasKey $seen .key) -}}
    {{- $merged = concat $merged (get $replacing .key) -}}
    {{- $_ := set $seen .key true -}}
  {{- end -}}
{{- end -}}
{{- range .over -}}
  {{- if not (hasKey $seen .key) }}{{ $merged = append $merged . }}{{ end -}}
{{- end -}}
{{ toJson $merged }}
{{- end }}

{{/* Segments → JSON of each flag's value (the last one given, as the engine reads it), "" for a flag without one. */}}
{{- define "dpd.args.flags" -}}
{{- $flags := dict -}}
{{- range . -}}
  {{- $head := first .words -}}
  {{- if contains "=" $head -}}
    {{- $_ := set $flags .key (regexReplaceAll "^[^=]*=" $head "") -}}
  {{- else -}}
    {{- $_ := set $flags .key (index (append .words "") 1) -}}
  {{- end -}}
{{- end -}}
{{ toJson $flags }}
{{- end }}

{{/* Takes the root → the segments of worker.args, which every role's are made from, and the flags in them. */}}
{{- define "dpd.worker.segments" -}}
{{ include "dpd.once" (dict "root" . "helper" "dpd.args.segments" "of" "worker.args" "with" (.Values.worker.args | default list)) }}
{{- end }}

{{- define "dpd.worker.flags" -}}
{{ include "dpd.once" (dict "root" . "helper" "dpd.worker.flags.found" "with" .) }}
{{- end }}

{{- define "dpd.worker.flags.found" -}}
{{ include "dpd.args.flags" (include "dpd.worker.segments" . | fromJsonArray) }}
{{- end }}

{{/* Takes {root, section}, one of pdSpec's → the segments of the arguments that the manifest gives this role. */}}
{{- define "dpd.args.own" -}}
{{- $given := (get .root.Values.pdSpec .section | default dict).args | default list -}}
{{ include "dpd.once" (dict "root" .root "helper" "dpd.args.segments" "of" .section "with" $given) }}
{{- end }}

{{/* Takes {segments, key} → "true" when the flag is among them, else nothing. */}}
{{- define "dpd.args.has" -}}
{{- $key := .key -}}
{{- $found := "" -}}
{{- range .segments }}{{ if eq .key $key }}{{ $found = "true" }}{{ end }}{{ end -}}
{{ $found }}
{{- end }}

{{/* Takes {segments, key} → the flag's value, or nothing. For a role's arguments the facts have them all: see "dpd.role". */}}
{{- define "dpd.args.value" -}}
{{ get (include "dpd.args.flags" .segments | fromJson) .key }}
{{- end }}
