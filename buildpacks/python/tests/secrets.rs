//! A private index: its password reaches the index, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test ends when its world is not so")]

#[expect(dead_code, reason = "each test program uses its part")]
mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use support::{Room, contents};

const PASSWORD: &str = "hunter2-p%40ss";
const MEANT: &str = "hunter2-p@ss";
/// `me:hunter2-p@ss`, as HTTP's basic authentication says it.
const BASIC: &str = "bWU6aHVudGVyMi1wQHNz";

/// An index with one package, for those who know the password.
fn index(wheel: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let wheel = wheel.clone();
            std::thread::spawn(move || answer(&stream, &wheel));
        }
    });
    format!("http://me:{PASSWORD}@{address}/simple")
}

fn answer(mut stream: &TcpStream, wheel: &[u8]) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|it| !it.is_empty());
    let request = lines.next().unwrap_or_default();
    let allowed = lines.filter(|it| it.ends_with(BASIC)).count() > 0;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let page = b"<!DOCTYPE html><a href=\"/files/mine-1.0-py3-none-any.whl\">mine-1.0-py3-none-any.whl</a>";
    let (status, kind, body): (_, _, &[u8]) = match path {
        _ if !allowed => ("401 Unauthorized", "text/plain", b""),
        "/simple/mine/" => ("200 OK", "text/html", page),
        "/files/mine-1.0-py3-none-any.whl" => ("200 OK", "application/octet-stream", wheel),
        _ => ("404 Not Found", "text/plain", b""),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nWWW-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if request.starts_with("HEAD") { &[] } else { body };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn wheel(room: &Room) -> Vec<u8> {
    let file = room.path("mine-1.0-py3-none-any.whl");
    let code = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as it:
    it.writestr("mine.py", "value = 7\n")
    it.writestr("mine-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    it.writestr("mine-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    it.writestr("mine-1.0.dist-info/RECORD", "")
"#;
    let python = format!("/usr/bin/python{}", room.minor);
    assert!(Command::new(python).args(["-c", code]).arg(&file).status().unwrap().success());
    std::fs::read(file).unwrap()
}

fn no_secret_in(dir: &Path) {
    for (path, (_, bytes)) in contents(dir) {
        for secret in [PASSWORD, MEANT, BASIC] {
            let found = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
            assert!(!found, "{secret} in {}", path.display());
        }
    }
}

#[test]
fn a_private_indexs_password_is_in_no_layer_no_lock_and_no_log() {
    let mut room = Room::new(&[("requirements.txt", "mine\n"), ("main.py", "print()\n")]).with_uv();
    let url = index(wheel(&room));
    let ini = room.path("pip.conf");
    std::fs::write(&ini, format!("[global]\nindex-url = {url}\n")).unwrap();
    room.set("PIP_CONFIG_FILE", ini.display().to_string());
    let text = room.built();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(room.read_layers("lock/packlight.lock").contains("mine==1.0"));
    no_secret_in(&room.layers());
}

#[test]
fn a_netrcs_password_reaches_the_index_and_no_layer_no_lock_and_no_log() {
    let mut room = Room::new(&[("requirements.txt", "mine\n"), ("main.py", "print()\n")]).with_uv();
    let url = index(wheel(&room)).replace(&format!("me:{PASSWORD}@"), "");
    let home = room.path("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join(".netrc"), format!("machine 127.0.0.1\nlogin me\npassword {MEANT}\n")).unwrap();
    room.set("HOME", home.display().to_string());
    room.set("PIP_INDEX_URL", url);
    let text = room.built();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(room.read_layers("lock/packlight.lock").contains("mine==1.0"));
    no_secret_in(&room.layers());

    // What prints it is masked too: a setup.py may read the file.
    let setup = "import os\nprint(open(os.path.expanduser('~/.netrc')).read())\nraise SystemExit(1)\n";
    room.write("noisy/setup.py", setup);
    room.write("requirements.txt", "./noisy\n");
    let ran = room.build();
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(!ran.text.contains("hunter2"), "{}", ran.text);
    no_secret_in(&room.layers());
}

#[test]
fn an_index_that_requirements_txt_names_is_used_to_install_too() {
    let room = Room::new(&[("main.py", "print()\n")]).with_uv();
    let url = index(wheel(&room));
    room.write("requirements.txt", &format!("--index-url {url}\nmine\n"));
    let text = room.built();
    assert!(room.layers().join(format!("venv/lib/python{}/site-packages/mine.py", room.minor)).exists());
    assert!(!text.contains("hunter2"), "{text}");
    no_secret_in(&room.layers());
}

#[test]
fn a_variable_in_the_address_of_a_package_is_filled_in_and_kept_nowhere() {
    let mut room = Room::new(&[("main.py", "print()\n")]).with_uv();
    let url = index(wheel(&room)).replace(PASSWORD, "${TOKEN}").replace("/simple", "");
    room.write("requirements.txt", &format!("mine @ {url}/files/mine-1.0-py3-none-any.whl\n"));
    room.set("TOKEN", PASSWORD);
    let text = room.built();
    assert!(room.layers().join(format!("venv/lib/python{}/site-packages/mine.py", room.minor)).exists());
    assert!(room.read_layers("lock/packlight.lock").contains("${TOKEN}"));
    assert!(!text.contains("hunter2"), "{text}");
    no_secret_in(&room.layers());
}

#[test]
fn a_password_stays_out_of_an_error_too() {
    let mut room = Room::new(&[("requirements.txt", "mine\nother\n"), ("main.py", "print()\n")]).with_uv();
    room.set("PIP_INDEX_URL", index(wheel(&room)));
    let ran = room.build();
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("`other`"), "{}", ran.text);
    assert!(!ran.text.contains("hunter2"), "{}", ran.text);

    room.set("PIP_INDEX_URL", index(wheel(&room)).replace("hunter2", "wrong-pw"));
    let ran = room.build();
    assert!(ran.text.contains("asks for a user name and a password"), "{}", ran.text);
    assert!(!ran.text.contains("wrong-pw"), "{}", ran.text);
    no_secret_in(&room.layers());
}
