//! What each proxy is told: one thread, kept connections on both sides, no log of accesses.
//!
//! No proxy is told to do more than pass exchanges on, and each may do it the best way it has, as long
//! as bodies stream through.

use super::peer::{Recording, Tuning};
use super::workload::Protocol;
use serde_json::{Value, json};
use std::path::Path;

/// Where a proxy stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub(crate) protocol: Protocol,
    pub(crate) backend: u16,
    /// Clients at once, at most.
    pub(crate) connections: u32,
    pub(crate) answers: Answers,
}

/// haproxy and nginx have to be told when each part of an answer must go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Whole,
    Streamed,
}

impl Site {
    pub(crate) fn new(protocol: Protocol, backend: u16) -> Self {
        Self { protocol, backend, connections: 1024, answers: Answers::Whole }
    }
}

const TUNED_PIPE_BYTES: u32 = 1 << 20;

pub(crate) fn taffrail(
    site: Site,
    recording: Recording,
    port: u16,
    admin: u16,
    directory: &Path,
) -> Vec<String> {
    let upstream_protocol = match site.protocol {
        Protocol::Http1 => "http1",
        Protocol::H2c => "h2c",
    };
    let mut pairs = vec![
        ("upstream", format!("http://127.0.0.1:{}", site.backend)),
        ("upstream-protocol", upstream_protocol.to_owned()),
        ("listen", format!("127.0.0.1:{port}")),
        ("admin", format!("127.0.0.1:{admin}")),
        ("threads", "1".to_owned()),
        ("data-dir", directory.display().to_string()),
    ];
    match recording {
        Recording::Off => {
            pairs.push(("capture-enabled", "off".to_owned()));
            pairs.push(("archive", "off".to_owned()));
        }
        // A budget of a whole core, so that sampling takes nothing away.
        Recording::AllOn => {
            pairs.push(("capture-sample", "1.0".to_owned()));
            pairs.push(("capture-cpu-budget", "1".to_owned()));
            pairs.push(("archive", "on".to_owned()));
            pairs.push(("archive-max-bytes", "256MiB".to_owned()));
        }
    }
    let flags = pairs.into_iter().flat_map(|(key, value)| [format!("--{key}"), value]);
    std::iter::once("run".to_owned()).chain(flags).collect()
}

pub(crate) fn haproxy(site: Site, tuning: Tuning, port: u16) -> String {
    let Site { backend, connections, .. } = site;
    let proto = match site.protocol {
        Protocol::Http1 => "",
        Protocol::H2c => " proto h2",
    };
    // The best of eight variants, tried once each for four or five short rounds on a busy machine
    // (2026-11-27, large): 0.42 of haproxy as shipped, 0.48 when run again. With buffers of 256 KiB
    // or more it was 0.8 to 1.2 with splicing, 0.9 to 1.9 without.
    let (pipes, splicing) = match tuning {
        Tuning::AsShipped => (String::new(), ""),
        Tuning::Tuned => (
            format!("    tune.pipesize {TUNED_PIPE_BYTES}\n"),
            "    option splice-request\n    option splice-response\n",
        ),
    };
    let delay = match site.answers {
        Answers::Whole => "",
        Answers::Streamed => "    option http-no-delay\n",
    };
    format!(
        "global
    nbthread 1
    maxconn {connections}
{pipes}
defaults
    mode http
    http-reuse always
{splicing}{delay}    timeout connect 3s
    timeout client 1h
    timeout server 1h

listen bench
    bind 127.0.0.1:{port}{proto}
    server model 127.0.0.1:{backend}{proto}
"
    )
}

pub(crate) fn nginx(site: Site, port: u16, directory: &Path) -> String {
    let Site { backend, connections, .. } = site;
    let directory = directory.display();
    let worker_connections = 2 * connections;
    let buffering = match site.answers {
        Answers::Whole => "on",
        Answers::Streamed => "off",
    };
    // Over gRPC is the one way that nginx speaks HTTP/2 to a server.
    let (listen, pass) = match site.protocol {
        Protocol::Http1 => (
            "",
            "proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_request_buffering off;",
        ),
        Protocol::H2c => (" http2", "grpc_pass grpc://model;"),
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {directory}/{kind};\n"))
        .concat();
    format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile {worker_connections};
pid {directory}/pid;
error_log stderr crit;
events {{
    worker_connections {worker_connections};
}}
http {{
{temporary}
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 1h;
    client_max_body_size 0;
    upstream model {{
        server 127.0.0.1:{backend};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port}{listen};
        location / {{
            {pass}
            proxy_buffering {buffering};
        }}
    }}
}}
"
    )
}

pub(crate) fn envoy(site: Site, port: u16) -> Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "AUTO",
        "generate_request_id": false,
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "model", "timeout": "0s"}}],
        }]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                "suppress_envoy_headers": true,
            },
        }],
    });
    json!({"static_resources": {
        "listeners": [{
            "name": "clients",
            "address": address(port),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }]}],
        }],
        "clusters": [envoy_cluster(site)],
    }})
}

fn envoy_cluster(site: Site) -> Value {
    let protocol = match site.protocol {
        Protocol::Http1 => "http_protocol_options",
        Protocol::H2c => "http2_protocol_options",
    };
    json!({
        "name": "model",
        "type": "STATIC",
        "connect_timeout": "3s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {protocol: {}},
            },
        },
        "load_assignment": {
            "cluster_name": "model",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(site.backend)}}]}],
        },
    })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}
