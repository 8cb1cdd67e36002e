{{/* Checks of where the model comes from, and of where it is mounted. Take the root. */}}

{{- define "dpd.check.source" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $section := get (dict "s3" "s3Storage" "fsx" "fsxStorage" "huggingface" "huggingFaceModel") $source.modelSourceType -}}
{{- if and $section (not (get $source $section)) }}
modelSourceConfig.{{ $section }}: absent, and modelSourceType is {{ $source.modelSourceType }}; add it
{{- else if and (eq $source.modelSourceType "fsx") (not $source.fsxStorage.dnsName) }}
modelSourceConfig.fsxStorage.dnsName: absent, and a chart cannot ask FSx for it; set it to what `aws fsx describe-file-systems` says
{{- end -}}
{{- $location := $source.modelLocation | default "" -}}
{{- if and (ne $source.modelSourceType "huggingface") (has ".." (splitList "/" $location)) }}
modelSourceConfig.modelLocation: {{ $location | quote }} has .. in it, and Kubernetes mounts no such path; write the model's folder as seen from the top of its source
{{- end -}}
{{- include "dpd.check.source.bucket" ($source.s3Storage | default dict) -}}
{{- end }}

{{/* The names S3 gives, those it gave in us-east-1 until 2018, and access points. Takes s3Storage. */}}
{{- define "dpd.check.source.bucket" -}}
{{- $name := .bucketName | default "" -}}
{{- $new := and (regexMatch "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$" $name) (not (contains ".." $name)) (not (regexMatch "^[0-9]+([.][0-9]+){3}$" $name)) -}}
{{- $old := and (eq (.region | default "") "us-east-1") (regexMatch "^[A-Za-z0-9._-]{3,255}$" $name) -}}
{{- if and (hasKey . "bucketName") (not (or $new $old (hasPrefix "arn:" $name))) }}
modelSourceConfig.s3Storage.bucketName: {{ $name | quote }} is no name of an S3 bucket; use 3 to 63 lower-case letters, digits, dots and dashes, and name folders in modelLocation
{{- end -}}
{{- end }}

{{- define "dpd.check.mount" -}}
{{- $path := include "dpd.model.path" . -}}
{{- $where := "worker.modelVolumeMount.mountPath" -}}
{{- $remedy := "write a folder of its own, such as /opt/ml/model" -}}
{{- if not (hasPrefix "/" $path) }}
{{ $where }}: {{ $path | quote }} is relative; start it with /, as in /opt/ml/model
{{- else if contains ":" $path }}
{{ $where }}: {{ $path | quote }} has a colon in it, which Kubernetes does not allow there; {{ $remedy }}
{{- else if has ".." (splitList "/" $path) }}
{{ $where }}: {{ $path | quote }} has .. in it, and may come to lie anywhere; {{ $remedy }}
{{- else if eq (clean $path) "/" }}
{{ $where }}: {{ $path | quote }} is the container's root, and would hide all that is in its image; {{ $remedy }}
{{- else -}}
{{- with include "dpd.check.mount.inTheWay" . }}
{{ $where }}: {{ $path | quote }} is in the way of {{ . }}, which the chart mounts there; {{ $remedy }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The first of the chart's folders that is at the model's path, below it, or above it and not to be written into. */}}
{{- define "dpd.check.mount.inTheWay" -}}
{{- $path := clean (include "dpd.model.path" .) -}}
{{- $readOnly := list "/etc/dpd-worker" "/etc/lmcache" "/etc/dpd-model" -}}
{{- if include "dpd.prefetch.on" . }}{{ $readOnly = append $readOnly "/model-source" }}{{ end -}}
{{- $tiered := printf "/dev/shm/%s" .Values.cache.tieredStorage.sharedMemory -}}
{{- if eq (include "dpd.cache.l2" .) "tieredstorage" }}{{ $readOnly = append $readOnly $tiered }}{{ end -}}
{{- $found := "" -}}
{{- range $own := concat (list "/dev/shm" "/tmp" (include "dpd.env.metricsFolder" $)) $readOnly -}}
{{- $inside := and (has $own $readOnly) (hasPrefix (printf "%s/" $own) $path) -}}
{{- if and (not $found) (or (eq $path $own) (hasPrefix (printf "%s/" $path) $own) $inside) }}{{ $found = $own }}{{ end -}}
{{- end -}}
{{ $found }}
{{- end }}
