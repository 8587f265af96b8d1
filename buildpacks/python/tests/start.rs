//! The start command that is found in the code, read with the interpreter of this machine and never imported.

#[expect(dead_code, reason = "each test program uses its part")]
mod support;

use support::Room;

/// Builds an app as far as its start command: the index cannot be reached, so nothing is installed.
fn said(files: &[(&str, &str)]) -> String {
    let mut room = Room::new(files);
    room.write("requirements.txt", files.iter().find(|it| it.0 == "requirements.txt").map_or("", |it| it.1));
    for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX"] {
        room.set(name, "http://127.0.0.1:9/simple");
    }
    room.set("PIP_NO_INDEX", "1");
    room.set("PIP_FIND_LINKS", "");
    let ran = room.build();
    // What was found is kept in the metadata of the layer, whatever comes after it.
    match std::fs::read_to_string(room.layers().join("start.toml")) {
        Ok(text) => text,
        Err(_) => ran.text,
    }
}

type Files<'a> = &'a [(&'a str, &'a str)];

const FASTAPI: &str = "from fastapi import FastAPI\n\napi = FastAPI()\n";
const FLASK: &str = "import flask as f\napp: f.Flask = f.Flask(__name__)\n";

#[test]
fn each_kind_of_app_is_started_by_its_real_module_and_object() {
    let manage = "import os\nos.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"mysite.settings\")\n";
    let settings =
        "WSGI_APPLICATION = 'mysite.wsgi.application'\nASGI_APPLICATION = 'mysite.asgi.application'\n";
    let django: Files<'_> =
        &[("site/manage.py", manage), ("site/mysite/__init__.py", ""), ("site/mysite/settings.py", settings)];
    let factory = "import quart\ndef make(config=None):\n    it = quart.Quart('x')\n    return it\n";
    let cases: &[(&str, Files<'_>, &str)] = &[
        ("FastAPI", &[("server.py", FASTAPI)], "exec uvicorn --host 0.0.0.0 --port \\\"$PORT\\\" server:api"),
        ("Flask", &[("shop.py", FLASK)], "\"gunicorn\", \"shop:app\""),
        (
            "Flask in src",
            &[("src/shop/__init__.py", FLASK)],
            "\"gunicorn\", \"--pythonpath\", \"src\", \"shop:app\"",
        ),
        ("a factory", &[("main.py", factory)], "--factory main:make"),
        ("Django", django, "\"gunicorn\", \"--pythonpath\", \"site\", \"mysite.wsgi:application\""),
        (
            "Flask with waitress",
            &[("app.py", FLASK), ("requirements.txt", "waitress\n")],
            "waitress-serve --host 0.0.0.0",
        ),
        (
            "a script",
            &[("tool.py", "if __name__ == \"__main__\":\n    print(1)\n"), ("lib.py", "")],
            "[\"python\", \"tool.py\"]",
        ),
        (
            "an object under `if` and `try`",
            &[(
                "x.py",
                "try:\n    import a\nexcept ImportError:\n    pass\nif True:\n    from flask import Flask\n    site = Flask('x')\n",
            )],
            "x:site",
        ),
    ];
    for (name, files, words) in cases {
        let text = said(files);
        let plain = text.replace("'", "\"");
        let words = if text.contains("\\\"") { (*words).to_owned() } else { words.replace("\\\"", "\"") };
        assert!(plain.contains(&words), "{name}: {words} in {text}");
    }
}

#[test]
fn a_server_is_added_only_where_the_app_lists_none() {
    assert!(said(&[("server.py", FASTAPI)]).contains("added = [\"uvicorn\"]"));
    for list in ["uvicorn\n", "fastapi[standard]\n", "hypercorn==0.17\n"] {
        assert!(said(&[("server.py", FASTAPI), ("requirements.txt", list)]).contains("added = []"), "{list}");
    }
}

#[test]
fn the_app_is_parsed_and_never_imported() {
    let text = said(&[(
        "app.py",
        &format!("{FLASK}open('/tmp/imported-by-packlight', 'w')\nimport nothing_such\n"),
    )]);
    assert!(text.contains("app:app"), "{text}");
    assert!(!std::path::Path::new("/tmp/imported-by-packlight").exists());
}

#[test]
fn what_is_not_certain_is_not_guessed() {
    let broken = "from flask import Flask\napp = Flask(\n";
    let cases: &[(&str, Files<'_>, &str)] = &[
        ("nothing", &[("a.py", "x = 1\n"), ("b.py", "")], "no start command was found"),
        ("no Python", &[], "no start command was found"),
        ("two apps", &[("one.py", FLASK), ("two.py", FLASK)], "one:app (Flask, one.py:2)"),
        (
            "two scripts",
            &[("a.py", "if '__main__' == __name__: pass"), ("b.py", "if __name__ == '__main__': pass")],
            "web: python a.py",
        ),
        (
            "a syntax error in the app",
            &[("app.py", broken), ("admin/tool.py", FLASK)],
            "app.py:2: '(' was never closed",
        ),
        (
            "a factory with arguments",
            &[("app.py", "from flask import Flask\ndef make(name):\n    return Flask(name)\n")],
            "needs arguments",
        ),
    ];
    for (name, files, words) in cases {
        let text = said(files);
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn a_syntax_error_elsewhere_is_a_warning() {
    let text = said(&[("app.py", FLASK), ("zzz.py", "def (\n")]);
    assert!(text.contains("app:app"), "{text}");
    assert!(text.contains("zzz.py:1: invalid syntax"), "{text}");
}

#[test]
fn a_procfile_is_left_to_its_buildpack_and_a_server_that_it_starts_is_added() {
    let room = Room::new(&[
        ("requirements.txt", ""),
        ("Procfile", "web: gunicorn app:app\n"),
        ("app.py", "def (\n"),
    ]);
    let mut room = room;
    room.set("PIP_INDEX_URL", "http://127.0.0.1:9/simple");
    room.set("PIP_RETRIES", "0");
    let ran = room.build();
    assert!(!room.layers().join("start.toml").exists());
    assert!(!ran.text.contains("app.py:1"), "{}", ran.text);
    assert!(ran.text.contains("gunicorn is added: the Procfile starts it"), "{}", ran.text);
}
