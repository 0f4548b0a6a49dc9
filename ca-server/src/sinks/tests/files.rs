use super::{HOSTILE, Running, append, entry, memory};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

fn sink(path: &Path, more: &str) -> String {
    format!("[[sink]]\nname = \"file\"\nkind = \"file\"\npath = \"{}\"\n{more}", path.display())
}

fn indices(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.map(|line| line["index"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn lines_survive_rotation_and_removal() {
    let (home, store) = (tempfile::tempdir().unwrap(), memory());
    let path = home.path().join("audit.jsonl");
    let running = Running::start(&sink(&path, ""), &store).await;
    append(&store, &["login.opened", "login.ended"]).await;
    running.until(|sink| sink.delivered == 2).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let rotated = home.path().join("audit.jsonl.1");
    fs::rename(&path, &rotated).unwrap();
    append(&store, &["login.opened"]).await;
    running.until(|sink| sink.delivered == 3).await;
    assert_eq!((indices(&rotated), indices(&path)), (vec![0, 1], vec![2]));
    fs::remove_file(&path).unwrap();
    append(&store, &["login.opened"]).await;
    running.until(|sink| sink.delivered == 4).await;
    assert_eq!(indices(&path), [3]);
}

#[tokio::test]
async fn a_torn_line_does_not_swallow_the_next() {
    let (home, store) = (tempfile::tempdir().unwrap(), memory());
    let path = home.path().join("audit.jsonl");
    fs::write(&path, "{\"index\":0,\"ent").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let running = Running::start(&sink(&path, ""), &store).await;
    append(&store, &["login.opened"]).await;
    running.until(|sink| sink.delivered == 1).await;
    assert_eq!(indices(&path), [0]);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
}

/// CVE-2025-6000: an audit file that could be pointed elsewhere became code that ran.
#[tokio::test]
async fn cve_2025_6000_what_is_no_file_of_ours_is_not_written() {
    let (home, store) = (tempfile::tempdir().unwrap(), memory());
    let (path, victim) = (home.path().join("audit.jsonl"), home.path().join("victim"));
    fs::write(&victim, "untouched\n").unwrap();
    std::os::unix::fs::symlink(&victim, &path).unwrap();
    let running = Running::start(&sink(&path, ""), &store).await;
    append(&store, &["login.opened"]).await;
    running.until(|sink| sink.failures > 1).await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched\n");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let status = running.until(|sink| sink.error.as_ref().is_some_and(|error| error.contains("chmod"))).await;
    assert_eq!(status.delivered, 0);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let failures = running.status().await.failures;
    running.until(|sink| sink.failures > failures + 2).await;
    fs::remove_dir(&path).unwrap();
    running.until(|sink| sink.delivered == 1).await;
    assert_eq!(indices(&path), [0], "it was only waiting");
}

#[tokio::test]
async fn hostile_text_stays_on_its_line_in_every_format() {
    for format in ["json", "ocsf", "cef"] {
        let (home, store) = (tempfile::tempdir().unwrap(), memory());
        let path = home.path().join("log");
        let running = Running::start(&sink(&path, &format!("format = \"{format}\"\n")), &store).await;
        store.append(entry("request.filed", HOSTILE)).await.unwrap();
        store.append(entry("request.filed", &"x|=\\\n".repeat(200_000))).await.unwrap();
        running.until(|sink| sink.delivered == 2).await;
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{format}");
        let bad = |letter: char| letter.is_control() && letter != '\n' || "\u{202e}\u{2028}".contains(letter);
        assert!(!text.contains(bad), "{format}");
    }
}
