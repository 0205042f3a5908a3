{{/* For the pod's `volumes`. */}}
{{- define "taffrail.volumes" -}}
{{- $values := .Values.taffrail -}}
- name: taffrail-data
  {{- if $values.data.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ $values.data.existingClaim }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ add (int $values.data.archiveMiB) (int $values.data.marginMiB) }}Mi
  {{- end }}
- name: taffrail-config
  configMap:
    name: {{ include "taffrail.ownName" . }}
- name: taffrail-podinfo
  downwardAPI:
    items:
      - path: labels
        fieldRef:
          fieldPath: metadata.labels
      - path: annotations
        fieldRef:
          fieldPath: metadata.annotations
{{- if $values.baseline.configMap }}
- name: taffrail-baseline
  configMap:
    name: {{ $values.baseline.configMap }}
    items:
      - key: {{ $values.baseline.key }}
        path: baseline.json
{{- end }}
{{- if $values.adminToken.existingSecret }}
- name: taffrail-token
  secret:
    secretName: {{ $values.adminToken.existingSecret }}
    # Of root and the pod's fsGroup: the user 65532 reads it, nobody else in the container does.
    defaultMode: 0440
    items:
      - key: {{ $values.adminToken.key }}
        path: token
{{- end }}
{{- if $values.tls.existingSecret }}
- name: taffrail-tls
  secret:
    secretName: {{ $values.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* For the pod template's labels, or nothing. */}}
{{- define "taffrail.podLabels" -}}
{{- if .Values.taffrail.azureWorkloadIdentity -}}
azure.workload.identity/use: "true"
{{- end -}}
{{- end -}}

{{/* For the pod template's annotations, or nothing. */}}
{{- define "taffrail.podAnnotations" -}}
{{- if .Values.taffrail.restartOnChange -}}
checksum/taffrail: {{ include "taffrail.config" . | sha256sum }}
{{- end -}}
{{- end -}}

{{/* For the pod's `securityContext`: volumes belong to the group that the sidecar runs as. */}}
{{- define "taffrail.podSecurityContext" -}}
fsGroup: {{ default 65532 (default dict .Values.taffrail.securityContext).runAsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end -}}
