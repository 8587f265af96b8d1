//! Service bindings that name a place for telemetry: what comes of them can be set as variables, and no password is shown.
#![no_main]

use destinations::{Binding, Variables, resolve};
use fuzz::{is_environment, parts};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "hush-hush";

fuzz_target!(|input: &[u8]| {
    let texts: Vec<String> =
        parts(input).into_iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    let text = |at: usize| texts.get(at).cloned().unwrap_or_default();
    let mut words = texts.iter().skip(2);
    let pairs = std::iter::from_fn(|| Some((words.next()?.clone(), words.next()?.clone())));
    let plain = Binding { name: text(0), words: vec![text(1)], entries: pairs.collect() };
    let addresses =
        plain.entries.keys().map(|name| (name.clone(), format!("http://me:{SECRET}@h/{}", text(3)))).collect();
    let with_a_secret = Binding { entries: addresses, ..plain.clone() };
    let variables = Variables::from([("PACKLIGHT_DESTINATION".to_owned(), text(1).replace('\0', ""))]);
    for bindings in [vec![plain.clone()], vec![with_a_secret.clone()], vec![with_a_secret, plain]] {
        for (given, agents) in [(&Variables::new(), &[][..]), (&variables, &["datadog", "newrelic"])] {
            let found = resolve(given, &bindings, agents);
            assert!(is_environment(&found.told) && is_environment(&found.bound));
            let shown = format!("{:?}", found.plan);
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
});
