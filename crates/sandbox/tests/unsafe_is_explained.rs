//! The promise about `unsafe`: one file, and a reason above each.

use std::path::Path;

#[test]
fn every_unsafe_is_in_one_file_with_its_reason_above() {
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let (mut unsafes, mut reasons) = (0, 0);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !code
                .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .any(|word| word == "unsafe")
            {
                continue;
            }
            assert!(path.ends_with("sys.rs"), "unsafe in {}: {line}", path.display());
            // The reason stands above the statement that the block is in.
            let reason = lines[..number].iter().rev().take(4).any(|above| above.starts_with("// SAFETY: "));
            assert!(reason, "{}:{}: unsafe without a reason", path.display(), number + 1);
            unsafes += 1;
        }
        reasons += lines.iter().filter(|line| line.starts_with("// SAFETY: ")).count();
    }
    assert_eq!(unsafes, reasons, "a reason for each, and none left over");
    assert!(unsafes > 0);
}
