//! Handshakes of the two sides with each other, and what a change of files does to the next one.

use super::*;
use crate::config::IdentityFiles;
use crate::credentials::made::{Authority, Made, put, self_signed};
use rcgen::{BasicConstraints, IsCa};
use rustls::HandshakeKind;
use rustls::pki_types::{CertificateDer, ServerName};
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(10);
const HOST: &str = "model.example.com";

/// An authority, and a server's identity of it.
struct Place {
    directory: TempDir,
    authority: Authority,
    server: Made,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("ca");
        let server = authority.identity(directory.path(), "server", HOST);
        Self { directory, authority, server }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn server_tls(&self) -> ServerTls {
        ServerTls { identity: files(&self.server), client_ca: None }
    }

    /// Demands a certificate of the same authority.
    fn strict_server_tls(&self) -> ServerTls {
        let client_ca = Some(self.authority.write(self.path(), "client-ca.crt"));
        ServerTls { client_ca, ..self.server_tls() }
    }

    fn client_tls(&self) -> ClientTls {
        let ca = Some(self.authority.write(self.path(), "ca.crt"));
        ClientTls { ca, identity: None, server_name: ServerName::try_from(HOST).unwrap() }
    }

    fn client_tls_as(&self, client: &Made) -> ClientTls {
        ClientTls { identity: Some(files(client)), ..self.client_tls() }
    }

    fn sides(&self) -> Sides {
        sides(&self.server_tls(), &self.client_tls())
    }

    /// Another pair in place of the server's.
    fn renew(&self) {
        self.authority.identity(self.path(), "server", HOST);
    }
}

fn files(made: &Made) -> IdentityFiles {
    IdentityFiles { certificate: made.certificate.clone(), key: made.key.clone() }
}

struct Sides {
    acceptor: Acceptor,
    connector: Connector,
    reloader: Reloader,
}

fn sides(server: &ServerTls, client: &ClientTls) -> Sides {
    let Tls { acceptor, connector, reloader } = load(Some(server), Some(client)).unwrap();
    Sides { acceptor: acceptor.unwrap(), connector: connector.unwrap(), reloader }
}

impl Sides {
    /// Reloads and failed ones of the server's side, after a few more looks.
    fn looked(&mut self) -> (u64, u64) {
        for _ in 0..4 {
            self.reloader.check();
        }
        let status = self.reloader.clients().unwrap();
        (status.reloads(), status.failed_reloads())
    }

    async fn shake(
        &self,
        offer: Offer,
    ) -> (Result<Accepted, TlsError>, Result<Connected, TlsError>) {
        let (near, far) = sockets().await;
        tokio::join!(self.acceptor.accept(far, PATIENCE), self.connector.connect(near, offer))
    }

    /// What the client is shown on a new connection.
    async fn certificate(&self) -> CertificateDer<'static> {
        let connected = self.shake(Offer::Http1).await.1.unwrap();
        connected.stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    /// One byte is said and heard on a new connection: only then has the client read its tickets.
    async fn exchange(&self) -> Result<HandshakeKind, String> {
        let (accepted, connected) = self.shake(Offer::Either).await;
        let mut accepted = accepted.map_err(|error| chain(&error))?.stream;
        let mut connected = connected.map_err(|error| chain(&error))?.stream;
        accepted.write_all(b"x").await.unwrap();
        accepted.flush().await.unwrap();
        assert_eq!(connected.read_u8().await.unwrap(), b'x');
        Ok(connected.get_ref().1.handshake_kind().unwrap())
    }
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

fn chain(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

#[tokio::test]
async fn both_sides_agree_on_a_protocol() {
    let sides = Place::new().sides();
    for (offer, agreed) in [
        (Offer::Http1, Protocol::Http1),
        (Offer::Http2, Protocol::Http2),
        (Offer::Either, Protocol::Http2),
    ] {
        let (accepted, connected) = sides.shake(offer).await;
        assert_eq!(accepted.unwrap().protocol, agreed);
        assert_eq!(connected.unwrap().protocol, agreed);
    }
    assert_eq!(Protocol::of(None), Protocol::Unsaid);
}

#[tokio::test]
async fn a_second_handshake_resumes_the_first_session() {
    let sides = Place::new().sides();
    assert_eq!(sides.exchange().await, Ok(HandshakeKind::Full));
    assert_eq!(sides.exchange().await, Ok(HandshakeKind::Resumed));
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_is_refused() {
    let place = Place::new();
    let other_name = ClientTls {
        server_name: ServerName::try_from("other.example.com").unwrap(),
        ..place.client_tls()
    };
    let refused = sides(&place.server_tls(), &other_name).shake(Offer::Http1).await.1;
    let refused = chain(&refused.unwrap_err());
    assert!(refused.contains("as other.example.com failed; see upstream.tls.ca"), "{refused}");

    let other_ca = Some(Authority::new("other").write(place.path(), "other.crt"));
    for ca in [other_ca, None] {
        let client = ClientTls { ca, ..place.client_tls() };
        let (accepted, refused) = sides(&place.server_tls(), &client).shake(Offer::Http1).await;
        let refused = chain(&refused.unwrap_err());
        assert!(refused.contains("UnknownIssuer"), "{refused}");
        assert!(matches!(accepted, Err(TlsError::ClientHandshake(_))));
    }
}

#[tokio::test]
async fn a_model_may_vouch_for_itself_unless_as_an_authority() {
    let place = Place::new();
    for (is_ca, is_taken) in
        [(IsCa::ExplicitNoCa, true), (IsCa::Ca(BasicConstraints::Unconstrained), false)]
    {
        let own = self_signed(place.path(), "own", HOST, is_ca);
        let server = ServerTls { identity: files(&own), client_ca: None };
        let client = ClientTls { ca: Some(own.certificate), ..place.client_tls() };
        let connected = sides(&server, &client).shake(Offer::Http1).await.1;
        assert_eq!(connected.is_ok(), is_taken, "{connected:?}");
    }
}

#[tokio::test]
async fn a_client_is_asked_for_a_certificate_of_the_right_authority() {
    let place = Place::new();
    let server = place.strict_server_tls();
    let known = place.authority.identity(place.path(), "known", "client");
    let accepted = sides(&server, &place.client_tls_as(&known)).exchange().await;
    assert_eq!(accepted, Ok(HandshakeKind::Full));

    let stranger = Authority::new("other").identity(place.path(), "stranger", "client");
    let expired = place.authority.identity_until(place.path(), "expired", "client", 2021);
    for client in
        [place.client_tls(), place.client_tls_as(&stranger), place.client_tls_as(&expired)]
    {
        let refused = sides(&server, &client).exchange().await.unwrap_err();
        assert!(refused.starts_with("the client's TLS handshake failed"), "{refused}");
    }
}

#[tokio::test]
async fn plain_text_is_no_handshake() {
    let sides = Place::new().sides();
    let (mut near, far) = sockets().await;
    near.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let refused = sides.acceptor.accept(far, PATIENCE).await.unwrap_err();
    assert!(matches!(refused, TlsError::ClientHandshake(_)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up() {
    let sides = Place::new().sides();
    let (_silent, far) = sockets().await;
    let refused = sides.acceptor.accept(far, PATIENCE).await.unwrap_err();
    assert!(matches!(refused, TlsError::ClientHandshakeTimeout(_)), "{refused}");
}

#[tokio::test]
async fn a_new_pair_is_shown_by_the_next_handshake_and_open_connections_go_on() {
    let place = Place::new();
    let mut sides = place.sides();
    let before = sides.certificate().await;
    let (accepted, connected) = sides.shake(Offer::Http1).await;
    let (mut accepted, mut connected) = (accepted.unwrap().stream, connected.unwrap().stream);

    assert_eq!(sides.looked(), (0, 0));
    place.renew();
    assert_eq!(sides.looked(), (1, 0));
    assert_ne!(sides.certificate().await, before);

    connected.write_all(b"still").await.unwrap();
    connected.flush().await.unwrap();
    let mut heard = [0; 5];
    accepted.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still");
}

#[tokio::test]
async fn files_of_no_use_keep_the_old_pair_and_are_counted_once() {
    let place = Place::new();
    let mut sides = place.sides();
    let before = sides.certificate().await;
    let pair = [&place.server.certificate, &place.server.key]
        .map(|path| std::fs::read_to_string(path).unwrap());

    put(place.path(), "server.key", "nothing");
    assert_eq!(sides.looked(), (0, 1));
    std::fs::remove_file(&place.server.certificate).unwrap();
    assert_eq!(sides.looked(), (0, 2));
    assert_eq!(sides.certificate().await, before);

    put(place.path(), "server.crt", &pair[0]);
    put(place.path(), "server.key", &pair[1]);
    assert_eq!(sides.looked(), (0, 2));
    place.renew();
    assert_eq!(sides.looked(), (1, 2));
    assert_ne!(sides.certificate().await, before);
}

#[test]
fn a_pair_seen_half_written_is_no_fault() {
    let place = Place::new();
    let mut sides = place.sides();
    let next = place.authority.identity(place.path(), "next", HOST);
    std::fs::rename(&next.certificate, &place.server.certificate).unwrap();
    sides.reloader.check();
    std::fs::rename(&next.key, &place.server.key).unwrap();
    assert_eq!(sides.looked(), (1, 0));
}

#[test]
fn a_mounted_secret_is_swapped_by_its_symlink() {
    let place = Place::new();
    let link = place.path().join("..data");
    let mount = |version: &str, year| {
        let directory = place.path().join(version);
        std::fs::create_dir(&directory).unwrap();
        place.authority.identity_until(&directory, "server", HOST, year);
        let swap = place.path().join("..swap");
        std::os::unix::fs::symlink(&directory, &swap).unwrap();
        std::fs::rename(&swap, &link).unwrap();
    };
    mount("..1", 2031);
    let identity =
        IdentityFiles { certificate: link.join("server.crt"), key: link.join("server.key") };
    let mut sides = sides(&ServerTls { identity, client_ca: None }, &place.client_tls());
    let year = |sides: &Sides| sides.reloader.clients().unwrap().not_after().unwrap().to_string();
    assert_eq!(year(&sides), "2031-12-31T00:00:00Z");
    mount("..2", 2032);
    assert_eq!(sides.looked(), (1, 0));
    assert_eq!(year(&sides), "2032-12-31T00:00:00Z");
}

#[tokio::test]
async fn a_client_of_an_authority_that_is_gone_does_not_get_in_by_its_session() {
    let place = Place::new();
    let server = place.strict_server_tls();
    let known = place.authority.identity(place.path(), "known", "client");
    let mut sides = sides(&server, &place.client_tls_as(&known));
    assert_eq!(sides.exchange().await, Ok(HandshakeKind::Full));
    assert_eq!(sides.exchange().await, Ok(HandshakeKind::Resumed));
    Authority::new("other").write(place.path(), "client-ca.crt");
    assert_eq!(sides.looked(), (1, 0));
    assert!(sides.exchange().await.is_err());
}

#[tokio::test]
async fn the_clients_own_certificate_and_authorities_are_reloaded_too() {
    let place = Place::new();
    let client = Authority::new("other").identity(place.path(), "client", "client");
    let mut sides = sides(&place.strict_server_tls(), &place.client_tls_as(&client));
    assert!(sides.exchange().await.is_err());
    place.authority.identity(place.path(), "client", "client");
    sides.reloader.check();
    assert_eq!(sides.exchange().await, Ok(HandshakeKind::Full));
    assert_eq!(sides.reloader.model().unwrap().reloads(), 1);
    Authority::new("other").write(place.path(), "ca.crt");
    sides.reloader.check();
    assert!(sides.exchange().await.is_err());
}

#[test]
fn a_start_with_a_bad_file_names_it() {
    let place = Place::new();
    put(place.path(), "server.key", "nothing");
    let refused = chain(&load(Some(&place.server_tls()), None).unwrap_err());
    assert!(refused.starts_with("tls: a file cannot be used: "), "{refused}");
    assert!(refused.contains("server.key\" holds no private key"), "{refused}");
    let lost = ClientTls { ca: Some(place.path().join("lost")), ..place.client_tls() };
    let refused = chain(&load(None, Some(&lost)).unwrap_err());
    assert!(refused.contains("lost\" cannot be read"), "{refused}");
}

#[test]
fn without_tls_there_is_nothing_to_look_at() {
    let Tls { acceptor, connector, mut reloader } = load(None, None).unwrap();
    reloader.check();
    assert!(acceptor.is_none() && connector.is_none());
    assert!(reloader.clients().is_none() && reloader.model().is_none());
}
