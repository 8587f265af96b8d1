//! `WWW-Authenticate`: how a registry wants to be told who asks
//! (<https://distribution.github.io/distribution/spec/auth/token/>).

/// One way that a registry accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from another place.
    Bearer {
        /// That place.
        realm: String,
        /// As what the registry is known there.
        service: Option<String>,
        /// What the token must allow, separated by blanks.
        scope: Option<String>,
    },
}

/// The way to take of those in the headers' values: a token before a password.
pub(super) fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Challenge> {
    let mut found = None;
    for value in values {
        for (scheme, parameters) in challenges(value) {
            let get = |name: &str| {
                let pair = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                pair.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = get("realm")
            {
                return Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                found = Some(Challenge::Basic);
            }
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

/// The schemes of one header with their parameters. Commas separate both, so a word without `=` begins a scheme.
fn challenges(mut rest: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() && after.is_empty() {
            return found;
        }
        let Some(value) = after.trim_start_matches([' ', '\t']).strip_prefix('=') else {
            found.push((word.to_owned(), Vec::new()));
            rest = after;
            continue;
        };
        let (value, after) = value_of(value.trim_start_matches([' ', '\t']));
        if let Some((_, parameters)) = found.last_mut() {
            parameters.push((word.to_owned(), value));
        }
        rest = after;
    }
}

/// A value, quoted or not, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |it: Option<&str>| it.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let value = r#"Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push""#;
        assert_eq!(parse([value]), bearer("https://a/token", Some("s"), Some("repository:a/b:pull,push")));
        let value = r#"bearer  Realm = "https://a/t?x=1\"2" , service=plain, error="x, y=z""#;
        assert_eq!(parse([value]), bearer("https://a/t?x=1\"2", Some("plain"), None));
        assert_eq!(parse([r#"Basic realm="Registry Realm""#]), Some(Challenge::Basic));
        assert_eq!(parse([r#"Basic realm="x", Bearer realm="https://a""#]), bearer("https://a", None, None));
        assert_eq!(
            parse(["Basic realm=\"x\"", "Bearer realm=\"https://a\""]),
            bearer("https://a", None, None)
        );
        for nonsense in
            ["", ",,", "Negotiate", "Bearer", "=", "Bearer =\"", "Digest realm=\"x\"", "\"", "= ="]
        {
            assert_eq!(parse([nonsense]), None, "{nonsense}");
        }
    }
}
