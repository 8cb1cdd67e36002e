{{/* The driver's part of the model's PersistentVolume, one per source that has one. */}}

{{- define "dpd.model.accessMode" -}}
{{ ternary "ReadOnlyMany" "ReadWriteMany" (eq .Values.modelSourceConfig.modelSourceType "s3") }}
{{- end }}

{{/* The bucket, from the model's prefix down. Workers run as another user than the mount's owner: allow-other. */}}
{{- define "dpd.model.s3" -}}
{{- $source := .Values.modelSourceConfig -}}
{{- $options := list "read-only" "allow-other" (printf "region %s" $source.s3Storage.region) -}}
{{- with trimAll "/" ($source.modelLocation | default "") }}{{ $options = append $options (printf "prefix %s/" .) }}{{ end -}}
mountOptions: {{ toJson $options }}
csi:
  driver: s3.csi.aws.com
  volumeHandle: {{ include "dpd.model.volume" . }}
  volumeAttributes:
    bucketName: {{ $source.s3Storage.bucketName | quote }}
{{- end }}

{{- define "dpd.model.fsx" -}}
{{- $storage := .Values.modelSourceConfig.fsxStorage -}}
mountOptions: [flock]
csi:
  driver: fsx.csi.aws.com
  volumeHandle: {{ $storage.fileSystemId | quote }}
  volumeAttributes:
    dnsname: {{ $storage.dnsName | quote }}
    mountname: {{ $storage.mountName | default "fsx" | quote }}
{{- end }}
