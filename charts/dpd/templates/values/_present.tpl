{{/*
Keys of the chart's own that its templates read without a question. A values file that sets one to null takes the default
away, and Helm does so before the schema is asked.
*/}}

{{- define "dpd.present" -}}
clusterDomain: []
transfer: [connector, fabric, bufferDevice, initPort, allocPort, notifyPort, sideChannelPort]
cache: [l2BufferGiBPerRank, tieredStorage]
cache.tieredStorage: [port, sharedMemory, runAsUser]
modelCache: [hostPath]
prefetch: [medium, parallel, s3]
prefetch.s3: [access]
shm: [sizeLimit]
drainSeconds: []
terminationGracePeriodSeconds: []
podSecurity: []
router: [image, namespace, replicas, routing]
router.routing: [decodeStrategy, session, gates, tokenizer, kvEvents]
router.routing.session: [header, user, cookie]
router.routing.kvEvents: [port, replayPort, maxBlocks]
router.image: [repository, pullPolicy]
proxy: [image, queueSeconds]
proxy.image: [repository, pullPolicy]
capture: [memoryMiB, s3]
collector: [image]
collector.image: [repository, pullPolicy]
rollout: [surge]
rollout.surge: [prefill, decode, worker]
topology: [placementGroupLabel]
podDisruptionBudget: [enabled, maxUnavailable]
monitoring: [podMonitor]
monitoring.podMonitor: [enabled]
networkPolicy: [enabled]
serviceAccount: [create]
edge: [kind, alb, ingress, gateway, tls]
edge.alb: [className, scheme]
edge.gateway: [timeouts]
edge.gateway.timeouts: [request, backendRequest]
edge.tls: [output]
edge.tls.output: [schedule]
autoscaling: [prometheus, aws, targets]
autoscaling.targets: [waiting, runningShare, bufferShare, routerCpuPercent]
{{- end }}

{{- define "dpd.check.present" -}}
{{- range $path, $keys := include "dpd.present" . | fromYaml -}}
{{- $held := dict "held" $.Values -}}
{{- range splitList "." $path -}}
{{- $_ := set $held "held" (get ($held.held | default dict) .) -}}
{{- end -}}
{{- if kindIs "map" $held.held -}}
{{- range $keys -}}
{{- if or (not (hasKey $held.held .)) (kindIs "invalid" (get $held.held .)) }}
{{ $path }}.{{ . }}: null, and the chart reads it; leave it out to have its default
{{- end -}}
{{- end -}}
{{- else if and (not (contains "." $path)) (not (hasKey $.Values $path)) }}
{{ $path }}: null, and the chart reads it; leave it out to have its default
{{- end -}}
{{- end -}}
{{- end }}
