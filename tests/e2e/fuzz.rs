//! The fuzz targets, briefly: each over its corpus, and over what a blind hand makes of it.

use anyhow::{Context as _, Result};
use e2e::{
    fuzz::TARGETS,
    kit::{binaries, chance::Chance},
};
use std::fs;

const MUTATIONS: u64 = 400;

#[test]
fn every_parser_withstands_its_corpus_and_blind_changes_to_it() -> Result<()> {
    for (name, target) in TARGETS {
        let dir = binaries::file(&format!("corpus/{name}"));
        let mut files =
            fs::read_dir(&dir).with_context(|| dir.display().to_string())?.collect::<Result<Vec<_>, _>>()?;
        files.sort_by_key(std::fs::DirEntry::path);
        assert!(!files.is_empty(), "{name} has no corpus");
        let corpus: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file.path())).collect::<Result<_, _>>()?;
        // The same each time: what fails here fails for everybody. Chance is for `./x fuzz`.
        let mut chance = Chance::seeded(1);
        for original in &corpus {
            target(original);
            for _ in 0..MUTATIONS / corpus.len() as u64 + 1 {
                target(&changed(original, &corpus, &mut chance));
            }
        }
    }
    Ok(())
}

const HOSTILE: [&[u8]; 14] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\x1b[2J",
    b",",
    b"@",
    b"%u",
    b"$(id)",
    b"-o",
    b"\xff\xfe",
    "\u{202e}".as_bytes(),
    b"{{{{[[[[",
    b"99999999999999999999",
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
];

fn changed(original: &[u8], corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=chance.below(3) {
        let at = usize::try_from(chance.below(bytes.len() as u64 + 1)).unwrap_or(0);
        let to = at + usize::try_from(chance.below((bytes.len() - at) as u64 + 1)).unwrap_or(0);
        match chance.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 => drop(bytes.drain(at..to)),
            2 => bytes.splice(at..at, bytes[at..to].to_vec()).for_each(drop),
            3 => bytes.truncate(at),
            4 => {
                let other = chance.pick(corpus).cloned().unwrap_or_default();
                bytes.splice(at..to, other.into_iter().skip(at).take(64)).for_each(drop);
            }
            _ => bytes.splice(at..at, chance.pick(&HOSTILE).copied().unwrap_or_default().to_vec()).for_each(drop),
        }
    }
    bytes
}
