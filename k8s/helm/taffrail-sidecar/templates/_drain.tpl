{{/* Seconds of drain.delay: an ordinary container is signalled together with the model, and has to serve
     until endpoints are withdrawn. */}}
{{- define "taffrail.drainDelay" -}}
{{- $drain := .Values.taffrail.drain -}}
{{- if not (kindIs "invalid" $drain.delaySeconds) -}}
{{ int $drain.delaySeconds }}
{{- else if include "taffrail.native" . -}}
0
{{- else -}}
{{ int $drain.preStopSeconds }}
{{- end -}}
{{- end -}}

{{/* Seconds the model sleeps. Beside an ordinary container it has to outlive the delay, so that what came
     in last is still answered. */}}
{{- define "taffrail.preStopSeconds" -}}
{{- $drain := .Values.taffrail.drain -}}
{{- if include "taffrail.native" . -}}
{{ int $drain.preStopSeconds }}
{{- else -}}
{{ max (int $drain.preStopSeconds) (add (int (include "taffrail.drainDelay" .)) 5) }}
{{- end -}}
{{- end -}}

{{/* The model's `lifecycle`, or nothing. */}}
{{- define "taffrail.modelLifecycle" -}}
{{- $action := .Values.taffrail.drain.preStopAction -}}
{{- $seconds := int (include "taffrail.preStopSeconds" .) -}}
{{- $knowsSleep := semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version -}}
{{- if and (eq $action "sleep") (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "taffrail.drain.preStopAction: sleep, but Kubernetes %s does not know it: it came with 1.29, behind a feature gate, and is on from 1.30. Use exec or auto." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and (gt $seconds 0) (ne $action "none") -}}
preStop:
  {{- if or (eq $action "sleep") (and (eq $action "auto") $knowsSleep) }}
  sleep:
    seconds: {{ $seconds }}
  {{- else }}
  exec:
    command: ["sleep", "{{ $seconds }}"]
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "taffrail.gracePeriod" -}}
{{- $drain := .Values.taffrail.drain -}}
{{- $sleep := int (include "taffrail.preStopSeconds" .) -}}
{{- $delay := int (include "taffrail.drainDelay" .) -}}
{{- $needed := add $sleep (int $drain.modelSeconds) $delay (int $drain.timeoutSeconds) (int $drain.flushSeconds) | int -}}
{{- $given := .Values.taffrail.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{ $needed }}
{{- else if lt (int $given) $needed -}}
{{- fail (printf "taffrail.terminationGracePeriodSeconds: %d is too short. The model's preStop sleep (%d), the model's end (%d), the sidecar's drain (%d + %d) and its last flush (%d) need %d; give as much, leave it empty, or shorten taffrail.drain." (int $given) $sleep (int $drain.modelSeconds) $delay (int $drain.timeoutSeconds) (int $drain.flushSeconds) $needed) -}}
{{- else -}}
{{ int $given }}
{{- end -}}
{{- end -}}
