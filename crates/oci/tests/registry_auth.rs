//! Who asks, and over what: passwords, tokens, certificates, proxies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod registries;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use oci::{
    ImageName,
    registry::{Authority, Credentials, Layers, Proxies, Secret, Settings},
};
use registries::{
    Fault, Proxy, Registry, Rule, amd64, client, image_of, name_at, quick,
    server::{self, Asked, Reply},
    store,
};
use tempfile::TempDir;

/// Pushes a small image; what went wrong, without what is another each time.
fn push(settings: Settings, name: &ImageName) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[300_000]);
    let layers = Layers { store: Some(&ours), ..Layers::default() };
    // One after the other, so that the first failure is always the same.
    let settings = Settings { parallel: 1, ..settings };
    let pushed = client(settings).push(&image, layers, std::slice::from_ref(name), &|_| {});
    let layer = image.manifest().layers[0].digest.to_string();
    let plain = |text: String| text.replace(&name.registry, "REGISTRY").replace(&layer, "LAYER");
    pushed.map(drop).map_err(|error| plain(error.to_string()))
}

fn pull(settings: Settings, name: &ImageName) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let pulled = client(settings).pull(name, &store(dir.path(), "theirs"), &amd64(), &|_| {});
    pulled.map(drop).map_err(|error| error.to_string().replace(&name.registry, "REGISTRY"))
}

/// Settings with one entry of Docker's file.
fn with_entry(registry: &str, entry: &str) -> Settings {
    let config = format!(r#"{{"auths":{{"{registry}":{entry}}}}}"#);
    Settings { credentials: Credentials::default().with_config("config.json", &config).unwrap(), ..quick() }
}

fn with_password(registry: &str, login: &str) -> Settings {
    with_entry(registry, &format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(login)))
}

fn passwords() -> Registry {
    let dir = tempfile::tempdir().unwrap();
    let line = Command::new("htpasswd").args(["-nbB", "me", "pw"]).output().expect("apache2-utils");
    std::fs::write(dir.path().join("htpasswd"), line.stdout).unwrap();
    Registry::start_in(dir, "auth:\n  htpasswd:\n    realm: tests\n    path: {dir}/htpasswd\n")
}

#[test]
fn a_password_is_shown_where_one_is_wanted() {
    let registry = passwords();
    let name = registry.name("team/app");
    let host = name.registry.clone();
    assert_eq!(
        push(quick(), &name).unwrap_err(),
        "REGISTRY/team/app: cannot push the blob LAYER: the registry wants to know who asks; log in with \
         `docker login REGISTRY`"
    );
    assert_eq!(
        push(with_password(&host, "me:wrong"), &name).unwrap_err(),
        "REGISTRY/team/app: cannot push the blob LAYER: the credentials are not accepted; log in with \
         `docker login REGISTRY`"
    );
    assert_eq!(
        pull(quick(), &name).unwrap_err(),
        "REGISTRY/team/app: cannot read the manifest latest: the registry wants to know who asks (UNAUTHORIZED: \
         authentication required); log in with `docker login REGISTRY`"
    );
    push(with_password(&host, "me:pw"), &name).unwrap();
    pull(with_password(&host, "me:pw"), &name).unwrap();

    let header = format!(r#"{{"{host}":"Basic {}"}}"#, STANDARD.encode("me:pw"));
    let credentials = Credentials::default().with_registry_auth(&header).unwrap();
    pull(Settings { credentials, ..quick() }, &name).unwrap();

    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let helper = move |program: &str, server: &str| {
        log.lock().unwrap().push(format!("{program} {server}"));
        Ok(br#"{"ServerURL":"","Username":"me","Secret":"pw"}"#.to_vec())
    };
    let config = r#"{"credsStore":"keychain"}"#;
    let credentials = Credentials::default().with_config("c", config).unwrap().with_helper(Arc::new(helper));
    push(Settings { credentials, ..quick() }, &name).unwrap();
    assert_eq!(*asked.lock().unwrap(), [format!("docker-credential-keychain {host}")]);
}

#[test]
fn another_server_is_shown_no_password() {
    let registry = passwords();
    let dir = tempfile::tempdir().unwrap();
    let ours = store(dir.path(), "ours");
    let image = image_of(&ours, &[300_000]);
    let host = registry.address.to_string();
    let layers = Layers { store: Some(&ours), ..Layers::default() };
    client(with_password(&host, "me:pw")).push(&image, layers, &[registry.name("app")], &|_| {}).unwrap();

    let layer = image.manifest().layers[0].digest;
    let bytes = std::fs::read(ours.blob_path(&layer)).unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let elsewhere = server::serve(move |asked| {
        seen.lock().unwrap().push(asked.header("authorization").map(str::to_owned));
        (200, Vec::new(), bytes.clone())
    });
    let to = Fault::Answer(307, format!("Location: http://{elsewhere}/signed?x=1\r\n"), "");
    let proxy = Proxy::start(registry.address, vec![Rule::once("GET", &format!("blobs/{layer}"), to)]);
    pull(with_password(&proxy.address.to_string(), "me:pw"), &name_at(proxy.address, "app")).unwrap();
    assert_eq!(*shown.lock().unwrap(), [None]);
}

/// A place for tokens, and a registry that wants them.
struct Tokens {
    registry: Registry,
    asked: Arc<Mutex<Vec<String>>>,
}

/// A key and a certificate of its own for a name.
fn certificate(dir: &Path) {
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=registry.example",
        ])
        .args(["-addext", "subjectAltName=DNS:registry.example"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .output()
        .expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A token that allows this, for so many seconds from now.
fn token(dir: &Path, access: &str, seconds: u64) -> String {
    let pem = std::fs::read_to_string(dir.join("cert.pem")).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let header = format!(r#"{{"typ":"JWT","alg":"RS256","x5c":["{der}"]}}"#);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // The registry bears with clocks that are wrong by a minute.
    let (begin, end) = (now - 120, now - 60 + seconds);
    let claims = format!(
        r#"{{"iss":"tests","sub":"me","aud":"registry","exp":{end},"nbf":{begin},"iat":{begin},"jti":"1","access":[{access}]}}"#
    );
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let file = tempfile::NamedTempFile::new_in(dir).unwrap();
    std::fs::write(file.path(), &signed).unwrap();
    let output = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign", "key.pem"])
        .arg(file.path())
        .current_dir(dir)
        .output()
        .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(output.stdout))
}

/// `repository:name:pull,push`, as far as one may, in the words of a token.
fn access(scope: &str, may_push: bool) -> String {
    let mut parts = scope.rsplitn(2, ':');
    let actions = parts.next().unwrap();
    let (kind, name) = parts.next().unwrap().split_once(':').unwrap();
    let actions: Vec<_> = actions
        .split(',')
        .filter(|action| may_push || *action == "pull")
        .map(|action| format!("{action:?}"))
        .collect();
    format!(r#"{{"type":"{kind}","name":"{name}","actions":[{}]}}"#, actions.join(","))
}

impl Tokens {
    /// `life` is what the first token lasts; who asks is told five minutes in any case.
    fn start(life: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        certificate(dir.path());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, place) = (Arc::clone(&asked), dir.path().to_owned());
        let address = server::serve(move |request| Self::answer(request, &place, life, &log));
        let auth = format!(
            "auth:\n  token:\n    realm: http://{address}/token\n    service: registry\n    issuer: tests\n    \
             rootcertbundle: {{dir}}/cert.pem\n"
        );
        Self { registry: Registry::start_in(dir, &auth), asked }
    }

    fn answer(request: &Asked, dir: &Path, life: u64, log: &Mutex<Vec<String>>) -> Reply {
        let form = String::from_utf8(request.body.clone()).unwrap();
        let query = if form.is_empty() { request.path.split_once('?').unwrap().1 } else { &form };
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let login = request.header("authorization").map(|header| {
            String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap()).unwrap()
        });
        let who = login.or(get("refresh_token").map(str::to_owned)).unwrap_or_default();
        let scopes: Vec<&str> =
            pairs.iter().filter(|(key, _)| key == "scope").flat_map(|(_, it)| it.split(' ')).collect();
        let mut log = log.lock().unwrap();
        log.push(format!("{} {who} {}", request.method, scopes.join(" ")));
        assert_eq!(get("service"), Some("registry"));
        let may_push = match who.as_str() {
            "me:pw" | "identity" => true,
            "reader:pw" | "" => false,
            _ => return server::json(401, r#"{"details":"incorrect username or password"}"#),
        };
        let access: Vec<String> = scopes.iter().map(|scope| access(scope, may_push)).collect();
        let life = if log.len() == 1 { life } else { 300 };
        let token = token(dir, &access.join(","), life);
        server::json(200, &format!(r#"{{"token":"{token}","expires_in":300}}"#))
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[test]
fn tokens_are_fetched_for_what_is_to_be_done() {
    let tokens = Tokens::start(300);
    let name = tokens.registry.name("team/app");
    let host = name.registry.clone();
    push(with_password(&host, "me:pw"), &name).unwrap();
    assert_eq!(tokens.asked(), ["GET me:pw repository:team/app:pull,push"]);
    pull(quick(), &name).unwrap();
    assert_eq!(tokens.asked(), ["GET  repository:team/app:pull"]);
    push(with_entry(&host, r#"{"identitytoken":"identity"}"#), &name).unwrap();
    assert_eq!(tokens.asked(), ["POST identity repository:team/app:pull,push"]);
    let own = token(tokens.registry.dir.path(), &access("repository:team/app:pull", false), 300);
    pull(with_entry(&host, &format!(r#"{{"registrytoken":"{own}"}}"#)), &name).unwrap();
    assert_eq!(tokens.asked(), [""; 0]);

    // Another repository's layers are asked for by name, and only that.
    let reader = client(with_password(&host, "me:pw"));
    let image = reader.image(&name, &amd64()).unwrap();
    let to = tokens.registry.name("team/copy");
    let pushed = reader.push(&image, Layers::default(), &[to], &|_| {}).unwrap();
    assert_eq!(pushed.mounted, 1);
    assert!(
        tokens
            .asked()
            .contains(&"GET me:pw repository:team/copy:pull,push repository:team/app:pull".to_owned())
    );
}

#[test]
fn who_may_not_is_told_so() {
    let tokens = Tokens::start(300);
    let name = tokens.registry.name("team/app");
    let host = name.registry.clone();
    assert_eq!(
        push(quick(), &name).unwrap_err(),
        "REGISTRY/team/app: cannot push the blob LAYER: the registry wants to know who asks (UNAUTHORIZED: \
         authentication required); log in with `docker login REGISTRY`"
    );
    assert_eq!(
        push(with_password(&host, "reader:pw"), &name).unwrap_err(),
        "REGISTRY/team/app: cannot push the blob LAYER: access is denied (UNAUTHORIZED: authentication required); check \
         the repository's name, and that the account of `docker login REGISTRY` may do this"
    );
    assert_eq!(
        push(with_password(&host, "me:wrong"), &name).unwrap_err(),
        "REGISTRY/team/app: cannot push the blob LAYER: the credentials are not accepted (incorrect username or \
         password); log in with `docker login REGISTRY`"
    );
}

#[test]
fn a_token_that_ends_in_the_middle_of_an_upload_is_replaced() {
    let tokens = Tokens::start(5);
    let wait = Rule::once("PATCH", "blobs/uploads", Fault::Wait(Duration::from_millis(6500))).after(1);
    let proxy = Proxy::start(tokens.registry.address, vec![wait]);
    let host = proxy.address.to_string();
    let settings = Settings { chunk: 100_000, ..with_password(&host, "me:pw") };
    push(settings, &name_at(proxy.address, "team/app")).unwrap();
    let log = proxy.log();
    let refused: Vec<_> = log.iter().filter(|line| line.contains(" 401")).collect();
    assert!(refused.iter().any(|line| line.starts_with("PATCH")), "{log:#?}");
    assert_eq!(tokens.asked().len(), 2);
    pull(quick(), &tokens.registry.name("team/app")).unwrap();
}

/// A proxy for TLS, which leads everywhere to the same place, and where it was asked to lead and as whom.
fn tunnel(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut lines = BufReader::new(&client).lines().map_while(Result::ok);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let login = head.iter().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("proxy-authorization: ").map(str::to_owned)
            });
            log.lock().unwrap().push(format!("{} {}", head[0], login.is_some()));
            (&client).write_all(b"HTTP/1.1 200 x\r\n\r\n").unwrap();
            let upstream = TcpStream::connect(to).unwrap();
            for (from, to) in [(&client, &upstream), (&upstream, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (address, asked)
}

fn with_tls() -> (Registry, TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    certificate(dir.path());
    let pem = std::fs::read(dir.path().join("cert.pem")).unwrap();
    let place = dir.path().display();
    let tls = format!("  tls:\n    certificate: {place}/cert.pem\n    key: {place}/key.pem\n");
    (Registry::start_with(&tls), dir, pem)
}

fn authority(pem: Vec<u8>) -> Authority {
    Authority { place: "company.pem".into(), pem }
}

#[test]
fn a_certificate_must_be_vouched_for_and_a_proxy_leads_out() {
    let (registry, _dir, pem) = with_tls();
    let (proxy, asked) = tunnel(registry.address);
    let proxies =
        Proxies { https: Some(Secret::new(format!("http://user:pw@{proxy}"))), ..Proxies::default() };
    let settings = || Settings { proxies: proxies.clone(), ..quick() };
    let name = ImageName::parse("registry.example/team/app", "docker.io").unwrap();
    let error = push(settings(), &name).unwrap_err();
    assert!(
        error.starts_with("REGISTRY/team/app: cannot push the blob LAYER: TLS failed: ")
            && error.ends_with(
                "; add the authority of the registry's certificate to the settings, or, for a registry without TLS, its \
                 host to `insecure`"
            ),
        "{error}"
    );
    push(Settings { authorities: vec![authority(pem)], ..settings() }, &name).unwrap();
    push(Settings { insecure: ["registry.example".to_owned()].into(), ..settings() }, &name).unwrap();
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|it| it == "CONNECT registry.example:443 HTTP/1.1 true"), "{asked:?}");

    // On this machine nobody need vouch.
    push(quick(), &registry.name("team/app")).unwrap();
}

#[test]
fn a_registry_without_tls_must_be_marked() {
    let registry = Registry::start();
    let (proxy, asked) = tunnel(registry.address);
    let secret = || Some(Secret::new(format!("http://{proxy}")));
    let proxies = Proxies { https: secret(), http: secret(), ..Proxies::default() };
    let settings = || Settings { proxies: proxies.clone(), ..quick() };
    let name = ImageName::parse("registry.example/team/app", "docker.io").unwrap();
    let error = push(settings(), &name).unwrap_err();
    assert!(error.contains("TLS failed") || error.contains("check the registry's name"), "{error}");
    assert!(asked.lock().unwrap().iter().all(|it| it.starts_with("CONNECT registry.example:443 ")));
    push(Settings { insecure: ["registry.example".to_owned()].into(), ..settings() }, &name).unwrap();
    pull(quick(), &registry.name("team/app")).unwrap();
}

#[test]
fn a_setting_that_is_wrong_is_told_before_anything_is_asked() {
    let new = |settings| oci::registry::Client::new(settings).unwrap_err().to_string();
    assert_eq!(
        new(Settings { authorities: vec![authority(b"no certificate".to_vec())], ..quick() }),
        "registries: cannot be reached: company.pem: there is no certificate in it; it must be PEM"
    );
    let proxies = Proxies { https: Some(Secret::new("ftp://u:hush@[")), ..Proxies::default() };
    let error = new(Settings { proxies, ..quick() });
    assert_eq!(
        error,
        "registries: cannot be reached: the proxy's address is not valid; it looks like http://proxy:3128"
    );
}
