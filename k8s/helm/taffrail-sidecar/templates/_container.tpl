{{/* The sidecar itself. Use `taffrail.initContainers` and `taffrail.containers`, one of which has it. */}}
{{- define "taffrail.container" -}}
{{- $values := .Values.taffrail -}}
name: taffrail
image: {{ include "taffrail.image" . }}
imagePullPolicy: {{ $values.image.pullPolicy }}
{{- if include "taffrail.native" . }}
restartPolicy: Always
{{- end }}
args:
  - run
  {{- with $values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
env:
  - name: TAFFRAIL_CONFIG
    value: /etc/taffrail/taffrail.yaml
  # Here and not in the file: the hook `taffrail drain` asks there.
  - name: TAFFRAIL_ADMIN_ADDRESS
    value: {{ printf "%s:%d" $values.address (int $values.ports.admin) | quote }}
  # Who sends: attributes of every signal.
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  - name: POD_UID
    valueFrom:
      fieldRef:
        fieldPath: metadata.uid
  - name: NODE_NAME
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  - name: CONTAINER_NAME
    value: taffrail
  - name: OTEL_SERVICE_NAME
    value: {{ include "taffrail.serviceName" . | quote }}
  {{- with $values.otlp.endpoint }}
  - name: OTEL_EXPORTER_OTLP_ENDPOINT
    value: {{ . | quote }}
  {{- end }}
  {{- if $values.otlp.existingHeadersSecret }}
  - name: OTEL_EXPORTER_OTLP_HEADERS
    valueFrom:
      secretKeyRef:
        name: {{ $values.otlp.existingHeadersSecret }}
        key: {{ $values.otlp.headersKey }}
  {{- end }}
  {{- if $values.applicationInsights.existingSecret }}
  - name: APPLICATIONINSIGHTS_CONNECTION_STRING
    valueFrom:
      secretKeyRef:
        name: {{ $values.applicationInsights.existingSecret }}
        key: {{ $values.applicationInsights.key }}
  {{- end }}
  {{- with $values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
# Runs as soon as the pod is to end, while the model sleeps: clients that keep a connection are told to leave.
lifecycle:
  preStop:
    exec:
      command: ["/usr/local/bin/taffrail", "drain"]
ports:
  - name: taffrail
    containerPort: {{ $values.ports.traffic }}
    protocol: TCP
  - name: taffrail-admin
    containerPort: {{ $values.ports.admin }}
    protocol: TCP
# The sidecar is up before the model is: start-up and liveness ask only for the process.
startupProbe:
  httpGet:
    path: /healthz
    port: taffrail-admin
  {{- toYaml $values.startupProbe | nindent 2 }}
livenessProbe:
  httpGet:
    path: /healthz
    port: taffrail-admin
  {{- toYaml $values.livenessProbe | nindent 2 }}
# Ready once the model answers, and no longer when the pod drains.
readinessProbe:
  httpGet:
    path: /readyz
    port: taffrail-admin
  {{- toYaml $values.readinessProbe | nindent 2 }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: taffrail-data
    mountPath: /var/lib/taffrail
  # The directory and not the file by subPath: such a file would never change.
  - name: taffrail-config
    mountPath: /etc/taffrail
    readOnly: true
  - name: taffrail-podinfo
    mountPath: /etc/podinfo
    readOnly: true
  {{- if $values.baseline.configMap }}
  - name: taffrail-baseline
    mountPath: /etc/taffrail-baseline
    readOnly: true
  {{- end }}
  {{- if $values.adminToken.existingSecret }}
  - name: taffrail-token
    mountPath: /etc/taffrail-token
    readOnly: true
  {{- end }}
  {{- if $values.tls.existingSecret }}
  - name: taffrail-tls
    mountPath: /etc/taffrail-tls
    readOnly: true
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* For the pod's `initContainers`: one item, or nothing. */}}
{{- define "taffrail.initContainers" -}}
{{- if include "taffrail.native" . -}}
- {{ include "taffrail.container" . | nindent 2 | trim }}
{{- end -}}
{{- end -}}

{{/* For the pod's `containers`: nothing, or one item. */}}
{{- define "taffrail.containers" -}}
{{- if not (include "taffrail.native" .) -}}
- {{ include "taffrail.container" . | nindent 2 | trim }}
{{- end -}}
{{- end -}}
