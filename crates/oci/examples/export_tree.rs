//! Exports a directory as one layer into a store, for measuring: `export_tree STORE DIR [TIMES]`.
#![expect(clippy::print_stdout, reason = "a program")]

use std::{path::PathBuf, time::Instant};

use oci::{LayerError, LayerSpec, Modes, Owner, Store, TreeRules};

fn main() -> Result<(), LayerError> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [store, dir, rest @ ..] = &args[..] else {
        println!("usage: export_tree STORE DIR [TIMES]");
        return Ok(());
    };
    let times = rest.first().and_then(|times| times.to_str()?.parse().ok()).unwrap_or(1);
    let store = Store::open(store)?;
    let rules = TreeRules::new(Owner::new(1001, 1000), Modes::Normalise);
    let spec = LayerSpec::new("measured").tree(dir, "/layers/measured", rules);
    for _ in 0..times {
        let begun = Instant::now();
        let added = store.add_layer(&spec, None)?;
        let seconds = begun.elapsed().as_secs_f64();
        let record = &added.record;
        let megabytes = record.uncompressed_size as f64 / 1e6;
        println!("{} {megabytes:.1} MB {seconds:.3} s {:.0} MB/s", record.diff_id, megabytes / seconds);
        println!("compressed to {:.3}", record.size as f64 / record.uncompressed_size as f64);
        let begun = Instant::now();
        let again = store.add_layer(&spec, Some(record))?;
        let seconds = begun.elapsed().as_secs_f64();
        println!("again: reused {}, {} entries, {:.1} ms", again.reused, record.index.entries, seconds * 1e3);
        let begun = Instant::now();
        store.unpacked(&record.diff_id)?;
        println!("unpacked in {:.3} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
