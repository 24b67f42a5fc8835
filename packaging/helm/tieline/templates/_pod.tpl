{{- /* The variables of the server, which go over its file. Secrets are files. */}}
{{- define "tieline.env" -}}
{{- $v := .Values -}}
- { name: TIELINE_CONFIG, value: /etc/tieline/tieline.toml }
- { name: TIELINE_LISTEN, value: {{ printf "%s:8080" $v.bindAddress | quote }} }
- { name: TIELINE_DRAIN_DELAY, value: "{{ $v.drain.delaySeconds }}" }
- { name: TIELINE_DRAIN_WINDOW, value: "{{ $v.drain.windowSeconds }}" }
- { name: TIELINE_DRAIN_TIMEOUT, value: "{{ $v.drain.timeoutSeconds }}" }
{{- if include "tieline.keySecret" . }}
- { name: TIELINE_KEY_FILE, value: /etc/tieline/keys/access-key }
{{- if $v.auth.secondary }}
- { name: TIELINE_SECONDARY_KEY_FILE, value: /etc/tieline/keys/secondary-access-key }
{{- end }}
{{- end }}
{{- if $v.auth.anonymous }}
- { name: TIELINE_ANONYMOUS, value: anyone }
{{- end }}
{{- if $v.tls.existingSecret }}
- { name: TIELINE_TLS_CERT, value: /etc/tieline/tls/tls.crt }
- { name: TIELINE_TLS_KEY, value: /etc/tieline/tls/tls.key }
{{- end }}
{{- if $v.admin.enabled }}
- { name: TIELINE_ADMIN__LISTEN, value: {{ printf "%s:9464" $v.bindAddress | quote }} }
- { name: TIELINE_ADMIN__TOKEN__FILE, value: /etc/tieline/admin/token }
{{- end }}
{{- if include "tieline.isCluster" . }}
- { name: TIELINE_CLUSTER__REGISTRY__FILE, value: /etc/tieline/registry/registry }
- { name: TIELINE_PEERS_LISTEN, value: {{ printf "%s:9300" $v.bindAddress | quote }} }
{{- if $v.cluster.peers.tls.existingSecret }}
- { name: TIELINE_PEER_TLS_CERT, value: /etc/tieline/peer-tls/tls.crt }
- { name: TIELINE_PEER_TLS_KEY, value: /etc/tieline/peer-tls/tls.key }
- { name: TIELINE_PEER_TLS_CA, value: /etc/tieline/peer-tls/ca.crt }
{{- with $v.cluster.peers.tls.name }}
- { name: TIELINE_PEER_TLS_NAME, value: {{ . | quote }} }
{{- end }}
{{- else }}
- { name: TIELINE_PEERS_PLAINTEXT, value: "true" }
{{- end }}
{{- if $v.cluster.peers.existingSecret }}
- { name: TIELINE_PEER_SECRET_FILE, value: /etc/tieline/peer-secret/peer-secret }
{{- end }}
{{- end }}
{{- end }}

{{- /* The secrets of the values, by the folder below /etc/tieline. */}}
{{- define "tieline.secrets" -}}
{{- $v := .Values -}}
{{- with include "tieline.keySecret" . }}
keys: {{ . }}
{{- end }}
{{- with $v.tls.existingSecret }}
tls: {{ . }}
{{- end }}
{{- if $v.admin.enabled }}
admin: {{ $v.admin.existingSecret }}
{{- end }}
{{- if include "tieline.isCluster" . }}
registry: {{ include "tieline.registrySecret" . }}
{{- with $v.cluster.peers.tls.existingSecret }}
peer-tls: {{ . }}
{{- end }}
{{- with $v.cluster.peers.existingSecret }}
peer-secret: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "tieline.mounts" -}}
- { name: config, mountPath: /etc/tieline/tieline.toml, subPath: tieline.toml, readOnly: true }
{{- range $folder, $_ := include "tieline.secrets" . | fromYaml }}
- { name: {{ $folder }}, mountPath: /etc/tieline/{{ $folder }}, readOnly: true }
{{- end }}
{{- end }}

{{- define "tieline.volumes" -}}
- name: config
  configMap:
    name: {{ include "tieline.name" . }}
{{- range $folder, $secret := include "tieline.secrets" . | fromYaml }}
- name: {{ $folder }}
  secret:
    secretName: {{ $secret }}
    defaultMode: 0440
{{- end }}
{{- end }}
